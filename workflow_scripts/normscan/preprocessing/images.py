"""Steps that change one volume after the other: read, change, keep the grid, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from normscan.errors import ScanError
from normscan.files import save_nifti
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.naming import volume_name
from normscan.preprocessing.volumes import Prepared

Change = Callable[[str, np.ndarray, np.ndarray, Grid], np.ndarray]


def change_images(prepared: Prepared, folder: Path, step: str, change: Change) -> Prepared:
    """Apply ``change(contrast, data, brain, grid)`` to every volume of a scan.

    ``data`` is float32, ``brain`` the brain mask (without one: the whole volume). Results are
    written as float32 under the step's name.

    Raises
    ------
    ScanError : the brain mask is empty or has another grid than a volume.
    """
    images = {}
    for contrast, path in prepared.images.items():
        data, grid = read_volume(path)
        brain = brain_on(prepared, grid, contrast)
        result = change(contrast, data, brain, grid)
        if not np.isfinite(result).all():
            raise ScanError(
                prepared.scan, path, f"{step} gave values that are not finite", "look at the volume"
            )
        name = volume_name(prepared.scan, prepared.space, step, contrast)
        images[contrast] = str(Path(folder, name))
        save_nifti(images[contrast], result, grid.affine, np.float32)
    return replace(prepared, images=images)


def brain_on(prepared: Prepared, grid: Grid, contrast: str) -> np.ndarray:
    """Brain mask (booleans), checked to lie on a contrast's grid; all voxels when there is none."""
    if not prepared.brain:
        return np.ones(grid.shape, dtype=bool)
    brain, source = read_mask(prepared.brain)
    if not source.same_as(grid):
        raise ScanError(
            prepared.scan,
            prepared.brain,
            f"the brain mask has another grid than the volume of {contrast}",
            "put 'register' before this step",
        )
    if not brain.any():
        raise ScanError(
            prepared.scan, prepared.brain, "the brain mask is empty", "look at the registration"
        )
    return brain
