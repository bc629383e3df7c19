"""Registration: a scan's contrasts to each other, then to the atlas, resampled once.

Source: Baur et al. 2021, section 3.4.5 (all scans rigidly or affinely aligned to one atlas). The
reference contrast of a scan is registered to the atlas with ANTs (Mattes mutual information on 32
bins, inside the atlas's brain and 20 mm around it); the others rigidly to the reference. All
transforms of a contrast are composed, so that it is interpolated once, linearly.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from normscan.errors import ConfigError, NormscanError, ScanError
from normscan.files import save_nifti
from normscan.preprocessing.alignment import coarse_alignment
from normscan.preprocessing.atlases import (
    Atlas,
    atlas_grid,
    atlas_mask,
    atlas_volume,
    has_brain_mask,
)
from normscan.preprocessing.atlases import atlas as find_atlas
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.masks import filled_support
from normscan.preprocessing.naming import brain_name, lesions_name, transform_name, volume_name
from normscan.preprocessing.resample import resample, thinned
from normscan.preprocessing.transforms import (
    ants,
    keep_warps,
    read_affine,
    to_ants,
    write_affine,
)
from normscan.preprocessing.volumes import Prepared

SETTINGS = {
    "atlas": "robex",
    "transform": "affine",
    "spacing": None,
    "reference": "T1w",
    "margin": 10.0,
    "antialias": True,
}
TRANSFORMS = ("rigid", "affine", "syn")

# Around the brain, scalp and air anchor the outline; neck and face would only mislead.
REGION_MM = 20.0
# Voxels of 3 mm find a linear transform to a fraction of a millimetre, at a fifth of the time.
LINEAR_MM = 3.0
LINEAR_LEVELS = {
    "aff_iterations": (1000, 500, 50),
    "aff_shrink_factors": (4, 2, 1),
    "aff_smoothing_sigmas": (2, 1, 0),
}


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
    ConfigError : unknown transform or atlas. ScanError : a mask on a grid of its own.
    """
    if transform not in TRANSFORMS:
        raise ConfigError(
            f"register.transform: found '{transform}'; allowed: {', '.join(TRANSFORMS)}"
        )
    found = find_atlas(atlas, atlases)
    grid = atlas_grid(found, spacing, margin=margin)
    native = _with_mask_grids(prepared)
    contrast = prepared.reference(reference)
    others = [name for name in native if name != contrast]
    if cohort_space == found.name:
        paths = {name: [_write(folder, prepared, name, found, np.eye(4))] for name in native}
    else:
        to_reference = {contrast: np.eye(4)}
        for name in others:
            to_reference[name] = (
                np.eye(4) if cohort_space else _between(native[contrast], native[name], seed)
            )
        warps, affine = _to_atlas(
            native[contrast], found, transform, skull_stripped, seed, folder, prepared.scan
        )
        paths = {
            name: [*warps, _write(folder, prepared, name, found, to_reference[name] @ affine)]
            for name in native
        }
    result = _resampled(prepared, folder, found.name, grid, paths, antialias)
    result = _with_brain(result, prepared, native, grid, paths, skull_stripped)
    return _with_lesions(result, prepared, native, grid, paths)


def _with_mask_grids(prepared: Prepared) -> dict[str, str]:
    """Volumes to register: the wanted ones, and those that masks were drawn on."""
    wanted = dict(prepared.images)
    for mask in filter(None, (prepared.brain, prepared.lesions)):
        owner = _owner(prepared, mask, wanted)
        wanted.setdefault(owner, prepared.native[owner])
    return wanted


def _owner(prepared: Prepared, mask: str, first: Mapping[str, str]) -> str:
    """Contrast whose native volume has a mask's grid, looking through ``first`` first."""
    grid = Grid.of(mask)
    for name, path in {**first, **prepared.native}.items():
        if Grid.of(path).same_as(grid):
            return name
    raise ScanError(
        prepared.scan,
        mask,
        "the mask's grid is that of none of the scan's volumes",
        "resample it to one of them with nearest neighbour interpolation",
    )


def _between(reference: str, moving: str, seed: int) -> np.ndarray:
    """Rigid (4, 4) transform that brings one contrast of a scan to another."""
    fixed, fixed_grid = thinned(*read_volume(reference), LINEAR_MM)
    data, grid = thinned(*read_volume(moving), LINEAR_MM)
    start = coarse_alignment(fixed, fixed_grid, data, grid, search=False)
    with tempfile.TemporaryDirectory() as work:
        found = ants.registration(
            to_ants(fixed, fixed_grid),
            to_ants(data, grid),
            type_of_transform="Rigid",
            initial_transform=write_affine(Path(work, "start.mat"), start),
            outprefix=f"{work}/found_",
            random_seed=seed + 1,
            **LINEAR_LEVELS,
        )
        return _affine_of(found, moving)


def _to_atlas(
    moving: str,
    found: Atlas,
    transform: str,
    skull_stripped: bool,
    seed: int,
    folder: Path,
    scan: str,
) -> tuple[list[str], np.ndarray]:
    """Displacement fields (none or one) and the affine (4, 4) that bring a volume to the atlas."""
    template, template_grid = atlas_volume(found, "brain" if skull_stripped else "head")
    data, grid = read_volume(moving)
    thin_template, thin_template_grid = thinned(template, template_grid, LINEAR_MM)
    thin_data, thin_grid = thinned(data, grid, LINEAR_MM)
    region = _region(found, thin_template_grid)
    start = coarse_alignment(thin_template, thin_template_grid, thin_data, thin_grid, region)
    with tempfile.TemporaryDirectory() as work:
        linear = ants.registration(
            to_ants(thin_template, thin_template_grid),
            to_ants(thin_data, thin_grid),
            type_of_transform="Rigid" if transform == "rigid" else "Affine",
            initial_transform=write_affine(Path(work, "start.mat"), start),
            mask=None if region is None else to_ants(region, thin_template_grid),
            outprefix=f"{work}/linear_",
            # ANTs takes a seed of zero as the time of day.
            random_seed=seed + 1,
            **LINEAR_LEVELS,
        )
        affine = _affine_of(linear, moving)
        if transform != "syn":
            return [], affine
        region = _region(found, template_grid)
        deformed = ants.registration(
            to_ants(template, template_grid),
            to_ants(data, grid),
            type_of_transform="SyNOnly",
            initial_transform=write_affine(Path(work, "affine.mat"), affine),
            mask=None if region is None else to_ants(region, template_grid),
            outprefix=f"{work}/syn_",
            random_seed=seed + 1,
        )
        forward = Path(folder, transform_name(scan, "affine", found.name, ".nii.gz"))
        backward = Path(folder, transform_name(scan, found.name, "affine", ".nii.gz"))
        keep_warps(deformed, forward, backward)
        return [str(forward)], affine


def _region(found: Atlas, grid: Grid) -> np.ndarray | None:
    """The atlas's brain and what lies within 20 mm of it; None when its brain is not known."""
    if not has_brain_mask(found):
        return None
    distance = ndimage.distance_transform_edt(~atlas_mask(found, grid), sampling=grid.spacing)
    return distance <= REGION_MM


def _affine_of(registered: Mapping[str, Sequence[str]], moving: str) -> np.ndarray:
    matrix = read_affine(registered["fwdtransforms"][-1])
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:3, :3]) <= 0:
        raise NormscanError(f"{moving}: registration failed (its transform mirrors the volume)")
    return matrix


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
        owner = _owner(prepared, prepared.brain, native)
        moved = resample(mask, source, grid, paths[owner], "nearest") > 0.5
    elif skull_stripped:
        moved = np.zeros(grid.shape, dtype=bool)
        for name, path in prepared.images.items():
            data, source = read_volume(path)
            moved |= resample(filled_support(data), source, grid, paths[name], "nearest") > 0.5
    else:
        return result
    folder = Path(next(iter(result.images.values()))).parent
    path = str(Path(folder, brain_name(result.scan, result.space)))
    save_nifti(path, moved, grid.affine, np.uint8)
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
    labels, source = read_volume(prepared.lesions, np.int32)
    owner = _owner(prepared, prepared.lesions, native)
    moved = np.rint(resample(labels, source, grid, paths[owner], "nearest"))
    folder = Path(next(iter(result.images.values()))).parent
    path = str(Path(folder, lesions_name(result.scan, result.space)))
    save_nifti(path, moved, grid.affine, np.int16)
    return replace(result, lesions=path).with_quality(
        lesion_native_ml=float((labels != 0).sum() * source.voxel_ml),
        lesion_ml=float((moved != 0).sum() * grid.voxel_ml),
    )
