"""Volumes brought to other grids, atlas space to native space included."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy import ndimage

from normscan.errors import NormscanError
from normscan.preprocessing.grids import Grid, read_volume
from normscan.preprocessing.nearest import TIE, nearest_labels
from normscan.preprocessing.transforms import (
    LPS,
    WARP,
    inverse_of,
    read_affine,
    to_ants,
    write_affine,
)

INTERPOLATIONS = {"linear": "linear", "nearest": "nearestNeighbor"}
FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))


class Placed(Protocol):
    """A scan that knows the way back: transforms and native volume of each contrast."""

    @property
    def scan(self) -> str: ...
    @property
    def transforms(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def native(self) -> Mapping[str, str]: ...


def resample_to_grid(
    path: str | Path, shape, affine, transforms: Sequence[str] = (), interpolation: str = "linear"
) -> np.ndarray:
    """A volume on another grid.

    Parameters
    ----------
    path : volume to be resampled.
    shape, affine : the wanted grid: (3,) voxels, (4, 4) voxel to RAS+ mm.
    transforms : files in ANTs order that bring the volume to the grid's space.
    interpolation : ``linear``, or ``nearest`` for masks and label maps (between grids with
        parallel axes: ``nearest.nearest_labels``).

    Returns
    -------
    array : float32 of the wanted shape; zero outside of the volume.
    """
    data, grid = read_volume(path)
    return resample(data, grid, Grid(tuple(shape), np.asarray(affine)), transforms, interpolation)


def resample(
    data: np.ndarray,
    source: Grid,
    target: Grid,
    transforms: Sequence[str] = (),
    interpolation: str = "linear",
    invert: Sequence[bool] | None = None,
    antialias: bool = False,
) -> np.ndarray:
    """An array on another grid; see :func:`resample_to_grid`.

    Parameters
    ----------
    invert : which of the transforms are affines to be inverted; default none.
    antialias : smooth first along axes on which the target is coarser, so that its voxels are
        means over their extent (Gaussian of matching width, Cardoso et al., MICCAI 2015).
    """
    if interpolation not in INTERPOLATIONS:
        allowed = ", ".join(INTERPOLATIONS)
        raise NormscanError(f"interpolation '{interpolation}' is not known; allowed: {allowed}")
    if antialias and interpolation == "linear":
        data = _smoothed(data, source, target)
    if not transforms and source.same_as(target):
        return np.array(data, dtype=np.float32)
    inverted = [False] * len(transforms) if invert is None else list(invert)
    if interpolation == "nearest":
        matrix = _voxel_matrix(source, target, transforms, inverted)
        if matrix is not None and _parallel(matrix, target.shape):
            return _nearest_along_axes(data, matrix, target.shape)
    import ants

    fixed = to_ants(np.zeros(target.shape, dtype=np.float32), target)
    with tempfile.TemporaryDirectory() as work:
        files = list(transforms) or [write_affine(Path(work, "identity.mat"), np.eye(4))]
        moved = ants.apply_transforms(
            fixed=fixed,
            moving=to_ants(data, source),
            transformlist=files,
            whichtoinvert=inverted or [False],
            interpolator=INTERPOLATIONS[interpolation],
            singleprecision=False,
        )
    return moved.numpy()


def to_native(
    volume: str | Path | np.ndarray,
    prepared: Placed,
    contrast: str,
    affine: np.ndarray | None = None,
    interpolation: str = "linear",
) -> tuple[np.ndarray, np.ndarray]:
    """A volume in atlas space brought back to the grid of a scan as it came from the scanner.

    Parameters
    ----------
    volume : path, or an array on any grid in atlas space together with its ``affine``.
    prepared : the scan; its ``transforms`` and ``native`` are used.
    contrast : whose native grid is wanted.
    interpolation : ``linear``, or ``nearest`` for masks, detections and label maps.

    Returns
    -------
    array, affine : float32 array on the native grid, and exactly that grid's affine.

    Raises
    ------
    NormscanError : the contrast has no native volume or no transform.
    """
    if contrast not in prepared.native or contrast not in prepared.transforms:
        there = ", ".join(sorted(set(prepared.native) & set(prepared.transforms))) or "none"
        raise NormscanError(
            f"{prepared.scan}: contrast '{contrast}' has no way back to native space; "
            f"contrasts that have one: {there}"
        )
    if isinstance(volume, np.ndarray):
        if affine is None:
            raise NormscanError(f"{prepared.scan}: an array needs its affine")
        data, source = volume, Grid(volume.shape, np.asarray(affine, dtype=float))
    else:
        data, source = read_volume(volume)
    target = Grid.of(prepared.native[contrast])
    files, invert = inverse_of(prepared.transforms[contrast])
    return resample(data, source, target, files, interpolation, invert), target.affine


def thinned(data: np.ndarray, grid: Grid, size: float) -> tuple[np.ndarray, Grid]:
    """Every n-th voxel along each axis, smoothed before, no coarser than ``size`` mm."""
    steps = np.maximum(np.floor(size / grid.spacing + 1e-6), 1).astype(int)
    if (steps == 1).all():
        return data, grid
    affine = grid.affine @ np.diag([*steps, 1.0])
    coarse = data[tuple(slice(None, None, step) for step in steps)]
    target = Grid(coarse.shape, affine)
    smooth = _smoothed(data, grid, target)
    return smooth[tuple(slice(None, None, step) for step in steps)], target


def _voxel_matrix(
    source: Grid, target: Grid, transforms: Sequence[str], inverted: Sequence[bool]
) -> np.ndarray | None:
    """From voxels of the target to voxels of the source (4, 4); None with displacement fields."""
    if any(path.endswith(WARP) for path in transforms):
        return None
    flip, matrix = np.eye(4), target.affine
    flip[:3, :3] = LPS
    for path, backwards in zip(transforms, inverted):
        affine = read_affine(path)
        matrix = flip @ (np.linalg.inv(affine) if backwards else affine) @ flip @ matrix
    return np.linalg.inv(source.affine) @ matrix


def _parallel(matrix: np.ndarray, shape: tuple[int, int, int]) -> bool:
    """Whether the axes of both grids are parallel, in whatever order and direction."""
    reach = np.abs(matrix[:3, :3]) * np.array(shape)
    used = reach > TIE
    return bool((used.sum(axis=0) == 1).all() and (used.sum(axis=1) == 1).all())


def _nearest_along_axes(data: np.ndarray, matrix: np.ndarray, shape) -> np.ndarray:
    """Nearest neighbour between grids with parallel axes, where positions may be between voxels."""
    axes = np.abs(matrix[:3, :3]).argmax(axis=1)
    places = [
        matrix[row, axis] * np.arange(shape[axis]) + matrix[row, 3] for row, axis in enumerate(axes)
    ]
    found = nearest_labels(np.asarray(data), places).transpose(np.argsort(axes))
    return np.ascontiguousarray(found, dtype=np.float32)


def _smoothed(data: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Smoothing that makes up for the difference of voxel sizes."""
    # Voxel size of the target along each axis of the source, whatever the angle between them.
    along = np.abs(source.direction().T @ target.direction()) ** 2 @ target.spacing**2
    excess = np.maximum(along - source.spacing**2, 0)
    sigma = np.sqrt(excess) * FWHM_TO_SIGMA / source.spacing
    if sigma.max() < 0.2:
        return data
    return ndimage.gaussian_filter(np.asarray(data, dtype=np.float32), sigma, mode="nearest")
