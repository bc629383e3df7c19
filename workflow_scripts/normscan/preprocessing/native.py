"""Native volumes of a scan: which one a mask was drawn on, what brings them all to an atlas."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from normscan.errors import ScanError
from normscan.preprocessing.atlases import Atlas
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.pairwise import rigid_between, to_atlas
from normscan.preprocessing.volumes import Prepared


def with_mask_grids(prepared: Prepared) -> dict[str, str]:
    """Contrast -> native volume: a scan's images, and those that its masks were drawn on."""
    wanted = dict(prepared.images)
    for mask in filter(None, (prepared.brain, prepared.lesions, prepared.anatomy)):
        drawn_on = owner(prepared, mask, wanted)
        wanted.setdefault(drawn_on, prepared.native[drawn_on])
    return wanted


def owner(prepared: Prepared, mask: str, first: Mapping[str, str]) -> str:
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


def between_contrasts(
    native: Mapping[str, str], contrast: str, cohort_space: str, seed: int
) -> dict[str, np.ndarray]:
    """Rigid (4, 4) transforms that bring every native volume to the one of ``contrast``.

    Contrasts of a cohort that is in some atlas's space lie on each other already.
    """
    return {
        name: np.eye(4)
        if name == contrast or cohort_space
        else rigid_between(native[contrast], path, seed)
        for name, path in native.items()
    }


def all_to_atlas(
    native: Mapping[str, str],
    contrast: str,
    found: Atlas,
    *,
    transform: str,
    skull_stripped: bool,
    cohort_space: str,
    seed: int,
    folder: Path,
    scan: str,
    resolution: float,
) -> tuple[list[str], dict[str, np.ndarray]]:
    """What brings all native volumes of a scan to an atlas.

    Parameters
    ----------
    native : contrast -> volume.
    contrast : the one that is registered to the atlas; the others are to it.
    cohort_space : atlas in whose space the volumes already are, "" for native space.
    transform, skull_stripped, seed, folder, resolution : see :func:`pairwise.to_atlas`.

    Returns
    -------
    warps, affines : displacement fields (none or one) that are shared, and contrast -> affine
        (4, 4) on LPS+ points in mm, which takes points of the atlas to points of the volume.
    """
    if cohort_space == found.name:
        return [], {name: np.eye(4) for name in native}
    to_reference = between_contrasts(native, contrast, cohort_space, seed)
    warps, affine = to_atlas(
        native[contrast], found, transform, skull_stripped, seed, folder, scan, resolution
    )
    return warps, {name: to_reference[name] @ affine for name in native}
