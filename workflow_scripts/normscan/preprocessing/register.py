"""Registration: a scan's contrasts to each other, then to the atlas, resampled once.

Source: Baur et al. 2021, section 3.4.5 (all scans rigidly or affinely aligned to one atlas). The
reference contrast of a scan is registered to the atlas with ANTs (Mattes mutual information on 32
bins, inside the atlas's brain and 20 mm around it); the others rigidly to the reference. All
transforms of a contrast are composed, so that it is interpolated once, linearly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from normscan.errors import ConfigError
from normscan.files import save_nifti
from normscan.preprocessing.atlases import Atlas, atlas_grid
from normscan.preprocessing.atlases import atlas as find_atlas
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.masks import filled_support
from normscan.preprocessing.naming import (
    anatomy_name,
    brain_name,
    lesions_name,
    transform_name,
    volume_name,
)
from normscan.preprocessing.native import all_to_atlas, owner, with_mask_grids
from normscan.preprocessing.resample import resample
from normscan.preprocessing.transforms import write_affine
from normscan.preprocessing.volumes import Prepared

SETTINGS = {
    "atlas": "robex",
    "transform": "affine",
    "spacing": None,
    "reference": "T1w",
    "margin": 10.0,
    "antialias": True,
    "resolution": 2.0,
}
ALLOWED = {
    "transform": ["rigid", "affine", "syn"],
    "spacing": "0.2..12",
    "reference": ["T1w", "T2w", "FLAIR", "T1ce", "PD", "DWI"],
    "margin": "0..200",
    "resolution": "1..10",
}
MEANING = {
    "atlas": "whose space scans are brought to: a known one, or one of `atlases`",
    "transform": "of a scan to the atlas; syn deforms",
    "spacing": "of voxels, equal along all axes; null: the atlas's voxels [mm]",
    "reference": "contrast that is registered to the atlas, where a scan has it; else its first",
    "margin": "around the atlas's brain that the grid covers [mm]",
    "antialias": "whether scans are smoothed before they go to a coarser grid",
    "resolution": "of the voxels on which a scan is aligned with the atlas; 3 takes a fifth of the "
    "time [mm]",
}
TRANSFORMS = ("rigid", "affine", "syn")


def run(
    prepared: Prepared,
    folder: Path,
    *,
    seed: int,
    atlas: str,
    transform: str,
    spacing: float | None,
    reference: str,
    margin: float,
    antialias: bool,
    resolution: float,
    skull_stripped: bool,
    cohort_space: str,
    atlases: Mapping[str, Mapping[str, str]] | None = None,
) -> Prepared:
    """Bring one scan to an atlas.

    Parameters
    ----------
    prepared : a native scan. Masks lie on the grid of one of its native volumes.
    folder : where volumes and transforms are written.
    atlas, atlases : name of the atlas, and the user's own atlases (see ``atlases.atlas``).
    transform : ``rigid``, ``affine`` or ``syn``.
    spacing : isotropic voxel size in mm; None: the atlas's voxels.
    reference : contrast that is registered to the atlas, where a scan has it; otherwise its first.
    margin : mm around the atlas's brain that the grid covers.
    antialias : smooth before going to a coarser grid (not in the papers; linear interpolation
        alone would drop most voxels of a fine scan and keep their noise).
    resolution : mm of the voxels on which a scan is aligned with the atlas. At 3.0 it takes a fifth
        of the time; a brain then ends 0.7 mm from where it does at 2.0, a head 2 mm (on average
        over the brain, simulated scans).
    skull_stripped : register to the atlas's brain rather than to its head; a scan without brain
        mask gets one of what its volumes show.
    cohort_space : atlas in whose space the scans are. Equal to ``atlas``: nothing is registered;
        any other: contrasts are taken as aligned with each other.

    Returns
    -------
    prepared : images, masks and transforms on the grid ``atlas_grid(atlas, spacing)``; quality
        gains ``lesion_native_ml`` and ``lesion_ml`` for scans with lesion masks.

    Raises
    ------
    ConfigError : unknown transform or atlas, impossible resolution.
    ScanError : a mask on a grid of its own.
    """
    if not 1 <= resolution <= 10:
        raise ConfigError(f"register.resolution: found {resolution}; must be 1 to 10 mm")
    if transform not in TRANSFORMS:
        raise ConfigError(
            f"register.transform: found '{transform}'; allowed: {', '.join(TRANSFORMS)}"
        )
    found = find_atlas(atlas, atlases)
    grid = atlas_grid(found, spacing, margin=margin)
    native = with_mask_grids(prepared)
    warps, affines = all_to_atlas(
        native,
        prepared.reference(reference),
        found,
        transform=transform,
        skull_stripped=skull_stripped,
        cohort_space=cohort_space,
        seed=seed,
        folder=folder,
        scan=prepared.scan,
        resolution=resolution,
    )
    paths = {
        name: [*warps, _write(folder, prepared, name, found, affine)]
        for name, affine in affines.items()
    }
    result = _resampled(prepared, folder, found.name, grid, paths, antialias)
    result = _with_brain(result, prepared, native, grid, paths, skull_stripped)
    result = _with_lesions(result, prepared, native, grid, paths)
    return _with_anatomy(result, prepared, native, grid, paths)


def _write(folder: Path, prepared: Prepared, name: str, found: Atlas, matrix: np.ndarray) -> str:
    path = Path(folder, transform_name(prepared.scan, name, found.name))
    return write_affine(path, matrix)


def _resampled(
    prepared: Prepared,
    folder: Path,
    space: str,
    grid: Grid,
    paths: Mapping[str, list[str]],
    antialias: bool,
) -> Prepared:
    images = {}
    for name, path in prepared.images.items():
        data, source = read_volume(path)
        moved = resample(data, source, grid, paths[name], antialias=antialias)
        images[name] = str(Path(folder, volume_name(prepared.scan, space, "register", name)))
        save_nifti(images[name], moved, grid.affine, np.float32)
    transforms = {name: list(paths[name]) for name in paths}
    return replace(prepared, space=space, images=images, transforms=transforms)


def _with_brain(
    result: Prepared,
    prepared: Prepared,
    native: Mapping[str, str],
    grid: Grid,
    paths: Mapping[str, list[str]],
    skull_stripped: bool,
) -> Prepared:
    """The given brain mask on the atlas grid; for stripped scans without one, what they show.

    The latter is taken from the native volumes, since interpolation blurs their edge.
    """
    if prepared.brain:
        mask, source = read_mask(prepared.brain)
        drawn_on = owner(prepared, prepared.brain, native)
        moved = resample(mask, source, grid, paths[drawn_on], "nearest") > 0.5
    elif skull_stripped:
        moved = np.zeros(grid.shape, dtype=bool)
        for name, path in prepared.images.items():
            data, source = read_volume(path)
            moved |= resample(filled_support(data), source, grid, paths[name], "nearest") > 0.5
    else:
        return result
    path = _save_labels(result, brain_name(result.scan, result.space), moved, grid, np.uint8)
    return replace(result, brain=path)


def _with_lesions(
    result: Prepared,
    prepared: Prepared,
    native: Mapping[str, str],
    grid: Grid,
    paths: Mapping[str, list[str]],
) -> Prepared:
    if not prepared.lesions:
        return result
    labels, moved, source = _moved_labels(prepared, prepared.lesions, native, grid, paths)
    path = _save_labels(result, lesions_name(result.scan, result.space), moved, grid, np.int16)
    return replace(result, lesions=path).with_quality(
        lesion_native_ml=float((labels != 0).sum() * source.voxel_ml),
        lesion_ml=float((moved != 0).sum() * grid.voxel_ml),
    )


def _with_anatomy(
    result: Prepared,
    prepared: Prepared,
    native: Mapping[str, str],
    grid: Grid,
    paths: Mapping[str, list[str]],
) -> Prepared:
    if not prepared.anatomy:
        return result
    _, moved, _ = _moved_labels(prepared, prepared.anatomy, native, grid, paths)
    path = _save_labels(result, anatomy_name(result.scan, result.space), moved, grid, np.int32)
    return replace(result, anatomy=path)


def _save_labels(result: Prepared, name: str, labels: np.ndarray, grid: Grid, dtype: type) -> str:
    """Write labels on the atlas grid beside the scan's registered images; the file's path."""
    path = str(Path(next(iter(result.images.values()))).with_name(name))
    save_nifti(path, labels, grid.affine, dtype)
    return path


def _moved_labels(
    prepared: Prepared,
    path: str,
    native: Mapping[str, str],
    grid: Grid,
    paths: Mapping[str, list[str]],
) -> tuple[np.ndarray, np.ndarray, Grid]:
    """A label map as it is, on the atlas's grid by nearest neighbour, and the grid it came on."""
    labels, source = read_volume(path, np.int32)
    drawn_on = owner(prepared, path, native)
    moved = resample(labels, source, grid, paths[drawn_on], "nearest")
    return labels, np.rint(moved), source
