"""Voxel grids: where the voxels of a volume lie in the world (RAS+, mm)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from normscan.errors import NormscanError
from normscan.files import nifti_values, open_nifti

# NIfTI headers hold float32, so that equal grids differ by rounding.
SAME_AFFINE = 1e-3
LARGEST_SHEAR = 1e-2


@dataclass(frozen=True)
class Grid:
    """Shape (3,) and affine (4, 4) of a volume; the affine maps voxel indices to RAS+ mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    @classmethod
    def of(cls, path: str | Path) -> Grid:
        """Grid of a NIfTI file (trailing axes of length one are dropped)."""
        image = open_nifti(path)
        shape = list(image.shape)
        while len(shape) > 3 and shape[-1] == 1:
            shape.pop()
        if len(shape) != 3:
            raise NormscanError(f"{path}: has {len(shape)} dimensions; must be a 3D volume")
        return cls(_three(shape), np.asarray(image.affine, dtype=float))

    @property
    def spacing(self) -> np.ndarray:
        """Voxel sizes (3,) in mm."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000)

    def same_as(self, other: Grid) -> bool:
        """Whether both grids have the same voxels."""
        return self.shape == other.shape and bool(
            np.allclose(self.affine, other.affine, atol=SAME_AFFINE, rtol=0)
        )

    def direction(self) -> np.ndarray:
        """Unit vectors of the axes (3, 3), exactly orthonormal.

        Raises
        ------
        NormscanError : the axes are sheared by more than rounding.
        """
        axes = self.affine[:3, :3] / self.spacing
        left, _, right = np.linalg.svd(axes)
        nearest = left @ right
        if not np.isfinite(axes).all() or np.abs(nearest - axes).max() > LARGEST_SHEAR:
            raise NormscanError(
                "the axes of the affine are not at right angles; resample the volume to a grid "
                "without shear"
            )
        return nearest


def read_volume(path: str | Path, dtype=np.float32) -> tuple[np.ndarray, Grid]:
    """A volume and its grid; trailing axes of length one are dropped.

    Raises
    ------
    NormscanError : damaged, not 3D, or values that are not finite.
    """
    grid = Grid.of(path)
    data = nifti_values(open_nifti(path), path).reshape(grid.shape)
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        raise NormscanError(f"{path}: has values that are not finite (NaN or infinite)")
    if np.dtype(dtype).kind in "iu" and data.dtype.kind == "f":
        # Label maps stored as floats may hold 0.99999997 for 1.
        data = np.rint(data)
    return data.astype(dtype), grid


def read_mask(path: str | Path) -> tuple[np.ndarray, Grid]:
    """A mask as booleans (above 0.5: some are stored as 1.00000006) and its grid."""
    data, grid = read_volume(path)
    return data > 0.5, grid


def ras_grid(corners: np.ndarray, spacing: float) -> Grid:
    """A grid along the world's axes whose voxels cover a box.

    Parameters
    ----------
    corners : (2, 3) lowest and highest world coordinate in mm to be covered, voxel edges included.
    spacing : isotropic voxel size in mm.
    """
    low, high = np.asarray(corners, dtype=float)
    counts = np.maximum(np.ceil((high - low) / spacing - 1e-6), 1).astype(int)
    # What the box lacks to whole voxels is shared between both ends.
    start = (low + high) / 2 - counts * spacing / 2 + spacing / 2
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = start
    return Grid(_three(counts), affine)


def world_box(grid: Grid, mask: np.ndarray | None = None) -> np.ndarray:
    """Lowest and highest world coordinates (2, 3) of a grid's voxels, or of those of a mask."""
    if mask is None:
        low, high = np.zeros(3), np.asarray(grid.shape) - 1
    else:
        places = np.argwhere(mask)
        low, high = places.min(axis=0), places.max(axis=0)
    ends = np.stack([low - 0.5, high + 0.5])
    corners = np.stack(np.meshgrid(*ends.T, indexing="ij"), axis=-1).reshape(-1, 3)
    world = corners @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return np.stack([world.min(axis=0), world.max(axis=0)])


def ras_order(grid: Grid) -> Grid:
    """The same voxels with axes permuted and flipped to run to the right, front and top."""
    order = nibabel.io_orientation(grid.affine)
    shape = np.empty(3, dtype=int)
    shape[order[:, 0].astype(int)] = grid.shape
    affine = grid.affine @ nibabel.orientations.inv_ornt_aff(order, grid.shape)
    return Grid(_three(shape), affine)


def cut(grid: Grid, box: np.ndarray) -> Grid:
    """The part of a grid whose voxels touch a world box (2, 3), limited to the grid."""
    low, high = np.asarray(box, dtype=float)
    corners = np.stack(np.meshgrid(*np.stack([low, high]).T, indexing="ij"), axis=-1).reshape(-1, 3)
    inverse = np.linalg.inv(grid.affine)
    places = corners @ inverse[:3, :3].T + inverse[:3, 3]
    last = np.array(grid.shape) - 1
    first = np.clip(np.floor(places.min(axis=0) + 0.5 + 1e-6), 0, last).astype(int)
    final = np.clip(np.ceil(places.max(axis=0) - 0.5 - 1e-6), 0, last).astype(int)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.affine[:3, :3] @ first + grid.affine[:3, 3]
    return Grid(_three(final - first + 1), affine)


def _three(sizes: Sequence[int] | np.ndarray) -> tuple[int, int, int]:
    x, y, z = (int(size) for size in sizes)
    return x, y, z
