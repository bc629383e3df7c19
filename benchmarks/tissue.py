"""Tissue segmentation of a simulated head, beside registration and ROBEX skull stripping.

One thread each, user CPU time (that of ROBEX's own process included), the least of ``--repeats``;
then how well the tissues are found in each contrast.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

# Before ANTs is imported.
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

import numpy as np
from common import options, setup, table

from normscan.cohorts.simulation.anatomy import subject_anatomy
from normscan.cohorts.simulation.contrasts import contrast_volume
from normscan.cohorts.simulation.lesions import Lesions
from normscan.cohorts.simulation.scanner import bias_field, rician
from normscan.files import save_nifti
from normscan.preprocessing.atlases import atlas
from normscan.preprocessing.correct_bias import n4
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.pairwise import to_atlas
from normscan.preprocessing.segment_tissue import TISSUES, by_tissue, classes
from normscan.preprocessing.strip_skull import robex

BIAS, NOISE = 0.2, 0.02


def user_seconds(run: Callable[[], object]) -> float:
    """User CPU time of a call, with that of the processes that it starts."""
    before = os.times()
    run()
    after = os.times()
    return after.user + after.children_user - before.user - before.children_user


def register(head: np.ndarray, grid: Grid, resolution: float) -> None:
    """Affine registration to the atlas of heads, as the step does it."""
    with tempfile.TemporaryDirectory() as work:
        path = Path(work, "head.nii.gz")
        save_nifti(path, head, grid.affine, np.float32)
        to_atlas(str(path), atlas("robex"), "affine", False, 0, Path(work), "scan", resolution)


def dice(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Overlap with the tissue that most of a voxel is."""
    return {
        name: 2
        * ((found == label) & (truth == label)).sum()
        / ((found == label).sum() + (truth == label).sum())
        for name, label in TISSUES.items()
    }


def main() -> None:
    arguments = options(__doc__, spacing=2.0)
    setup(arguments)
    random = np.random.default_rng(0)
    anatomy = subject_anatomy(random, arguments.spacing)
    grid, brain = Grid(anatomy.brain.shape, anatomy.affine), anatomy.brain
    truth = np.where(brain, anatomy.fractions[:3].argmax(axis=0) + 1, 0)
    heads = {}
    for contrast in ("T1w", "T2w", "FLAIR"):
        clean = contrast_volume(random, anatomy, Lesions(), contrast)
        head = rician(random, clean * bias_field(random, clean.shape, BIAS), NOISE)
        heads[contrast] = head.astype(np.float32)
    whole, bare = heads["T1w"], heads["T1w"] * brain
    runs = {
        "segment_tissue": lambda: classes(bare, brain, grid),
        "N4 alone": lambda: n4(bare, brain, grid),
        "register (affine)": lambda: register(whole, grid, 2.0),
        "strip_skull (ROBEX)": lambda: robex(whole, grid, 0),
    }
    # The least: other programs on the machine only add.
    seconds = {
        name: min(user_seconds(run) for _ in range(arguments.repeats)) for name, run in runs.items()
    }
    rows = [
        {"step": name, "user s": value, "times segment_tissue": value / seconds["segment_tissue"]}
        for name, value in seconds.items()
    ]
    table(f"one scan of {'x'.join(map(str, brain.shape))} voxels, one thread", rows)
    found = {
        contrast: by_tissue(classes(head * brain, brain, grid), contrast)
        for contrast, head in heads.items()
    }
    rows = [{"contrast": contrast} | dice(labels, truth) for contrast, labels in found.items()]
    table("Dice with the known anatomy", rows)


if __name__ == "__main__":
    main()
