"""Registration of two volumes with ANTs: one contrast to another, or a scan to an atlas."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from normscan.errors import NormscanError
from normscan.preprocessing.alignment import coarse_alignment
from normscan.preprocessing.atlases import Atlas, atlas_mask, atlas_volume, has_brain_mask
from normscan.preprocessing.grids import Grid, read_volume
from normscan.preprocessing.naming import transform_name
from normscan.preprocessing.resample import thinned
from normscan.preprocessing.transforms import keep_warps, read_affine, to_ants, write_affine

# Around the brain, scalp and air anchor the outline; neck and face would only mislead.
REGION_MM = 20.0
# Voxels of 3 mm bring contrasts of one head together to 0.3 mm, at a fifth of the time; different
# heads on thick slices need 2 mm, the default of ``register.resolution``.
BETWEEN_MM = 3.0
# Volume of a scan's brain per volume of the atlas's. Beyond that an affine has run away, as it can
# when the field of view cuts the head.
PLAUSIBLE_SCALE = (0.4, 2.5)
LOG = logging.getLogger("normscan")
# More iterations move no point of the brain by more than 0.05 mm, and take twice as long.
LINEAR_LEVELS = {
    "aff_iterations": (500, 200, 20),
    "aff_shrink_factors": (4, 2, 1),
    "aff_smoothing_sigmas": (2, 1, 0),
}


def rigid_between(reference: str, moving: str, seed: int) -> np.ndarray:
    """Rigid (4, 4) transform that brings one contrast of a scan to another."""
    import ants

    fixed, fixed_grid = thinned(*read_volume(reference), BETWEEN_MM)
    data, grid = thinned(*read_volume(moving), BETWEEN_MM)
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


def to_atlas(
    moving: str,
    found: Atlas,
    transform: str,
    skull_stripped: bool,
    seed: int,
    folder: Path,
    scan: str,
    resolution: float,
) -> tuple[list[str], np.ndarray]:
    """Displacement fields (none or one) and the affine (4, 4) that bring a volume to the atlas.

    The affine is found on voxels of ``resolution`` mm, or the scan's own where these are larger.
    """
    import ants

    template, template_grid = atlas_volume(found, "brain" if skull_stripped else "head")
    data, grid = read_volume(moving)
    # Finer than the scan itself it would show nothing more.
    finest = max(resolution, min(grid.spacing))
    thin_template, thin_template_grid = thinned(template, template_grid, finest)
    thin_data, thin_grid = thinned(data, grid, finest)
    region = _region(found, thin_template_grid)
    start = coarse_alignment(thin_template, thin_template_grid, thin_data, thin_grid, region)
    with tempfile.TemporaryDirectory() as work:

        def linear(kind: str) -> np.ndarray:
            found = ants.registration(
                to_ants(thin_template, thin_template_grid),
                to_ants(thin_data, thin_grid),
                type_of_transform=kind,
                initial_transform=write_affine(Path(work, "start.mat"), start),
                mask=None if region is None else to_ants(region, thin_template_grid),
                outprefix=f"{work}/{kind}_",
                # ANTs takes a seed of zero as the time of day.
                random_seed=seed + 1,
                **LINEAR_LEVELS,
            )
            return _affine_of(found, moving)

        affine = linear("Rigid" if transform == "rigid" else "Affine")
        scale = np.linalg.det(affine[:3, :3])
        if not PLAUSIBLE_SCALE[0] < scale < PLAUSIBLE_SCALE[1]:
            LOG.warning("%s: affine registration failed (scale %.2f); rigid used", moving, scale)
            affine = linear("Rigid")
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
