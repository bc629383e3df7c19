"""Simulate one subject: anatomy, lesions, scans of several contrasts, truth, in BIDS."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from normscan.cohorts.simulation.anatomy import Anatomy, subject_anatomy
from normscan.cohorts.simulation.lesions import (
    Lesions,
    ms_lesions,
    place_tumour,
    stroke_lesions,
    tumour_lesions,
)
from normscan.cohorts.simulation.scanner import (
    Grid,
    acquire,
    contrast_volume,
    moved,
    resample,
    scanner_grid,
)
from normscan.files import save_nifti, write_json

SETTINGS = {
    "subjects": 8,
    "seed": 0,
    "lesion": "none",
    "contrasts": ["T1w", "T2w", "FLAIR"],
    "head": True,
    "spacing": None,
    "oblique": True,
    "deformation": 2.5,
    "bias": 0.15,
    "noise": 0.02,
}
# A T1w volume and thick-slice T2w and FLAIR, as in clinical protocols.
VOXELS = {"T1w": (1.5, 1.5, 1.5), "T1ce": (1.5, 1.5, 1.5)}
THICK = (1.3, 1.3, 3.0)


def simulate_scan(
    folder: Path,
    subject: str,
    *,
    cohort: str,
    seed: int = 0,
    lesion: str = "none",
    contrasts: list[str] | tuple[str, ...] = ("T1w", "T2w", "FLAIR"),
    head: bool = True,
    spacing: float | None = None,
    oblique: bool = True,
    deformation: float = 2.5,
    bias: float = 0.15,
    noise: float = 0.02,
) -> None:
    """Write a simulated subject into a BIDS folder.

    Writes ``sub-X/anat/sub-X_T1w.nii.gz`` and the like, the true brain mask (grid of the first
    contrast) and, with a lesion, its labels (grid of FLAIR, or of the first contrast) below
    ``derivatives/truth``. The random stream depends on seed, cohort and subject alone.

    Parameters
    ----------
    lesion : none, ms, tumour, stroke, or mixed (in turn by the subject's number).
    head : with skull, scalp and face; False: brain only.
    spacing : isotropic voxel size in mm of every contrast; None: clinical grids.
    oblique : turned grids and motion between contrasts.
    deformation : strength of the random anatomy, mm.
    bias, noise : of the scanner; noise relative to white matter on T1w.
    """
    digest = hashlib.sha256(f"{seed}|{cohort}|{subject}".encode()).digest()
    rng = np.random.default_rng(np.frombuffer(digest, np.uint32))
    if lesion == "mixed":
        lesion = ("ms", "tumour", "stroke")[int(subject) % 3]
    working = max(1.5, spacing or 0)
    tumour = place_tumour(rng, working) if lesion == "tumour" else None
    anatomy = subject_anatomy(rng, working, deformation, tumour.push if tumour else None)
    lesions = _lesions(rng, anatomy, lesion, tumour)
    grids: dict[str, tuple[Grid, np.ndarray]] = {}
    for contrast in contrasts:
        voxel = (spacing,) * 3 if spacing else VOXELS.get(contrast, THICK)
        grid = scanner_grid(rng, anatomy, voxel, oblique)
        motion = moved(rng, grid) if oblique else np.eye(4)
        volume = contrast_volume(rng, anatomy, lesions, contrast, head)
        data = acquire(rng, volume, anatomy, grid, motion, bias=bias, noise=noise if head else 0)
        if not head:
            data = _brain_noise(rng, data, noise)
        name = f"sub-{subject}_{contrast}.nii.gz"
        save_nifti(folder / f"sub-{subject}" / "anat" / name, data, grid.affine)
        grids[contrast] = grid, motion
    _write_truth(folder, subject, anatomy, lesions, grids)


def write_description(folder: Path) -> None:
    """``dataset_description.json`` of a simulated BIDS folder."""
    write_json(
        folder / "dataset_description.json",
        {
            "Name": "Simulated heads (normscan)",
            "BIDSVersion": "1.9.0",
            "DatasetType": "raw",
            "GeneratedBy": [{"Name": "normscan", "Description": "simulated from ICBM152"}],
        },
    )


def _lesions(rng, anatomy: Anatomy, lesion: str, tumour) -> Lesions:
    if lesion == "ms":
        return ms_lesions(rng, anatomy)
    if lesion == "tumour":
        return tumour_lesions(rng, anatomy, tumour)
    if lesion == "stroke":
        return stroke_lesions(rng, anatomy)
    return Lesions()


def _brain_noise(rng, data: np.ndarray, noise: float) -> np.ndarray:
    """Noise inside the brain only: skull-stripped scans are zero outside."""
    from normscan.cohorts.simulation.scanner import SCALE

    noisy = np.hypot(
        data + noise * SCALE * rng.standard_normal(data.shape),
        noise * SCALE * rng.standard_normal(data.shape),
    )
    return np.where(data > 0.03 * SCALE, np.maximum(np.round(noisy), 1), 0).astype(np.int16)


def _write_truth(folder: Path, subject: str, anatomy: Anatomy, lesions: Lesions, grids) -> None:
    truth = folder / "derivatives" / "truth" / f"sub-{subject}" / "anat"
    grid, motion = next(iter(grids.values()))
    brain = resample(anatomy.brain.astype(np.float32), anatomy, grid, motion, order=1) > 0.5
    path = truth / f"sub-{subject}_desc-brain_mask.nii.gz"
    save_nifti(path, brain, grid.affine, np.uint8)
    if lesions.fractions:
        grid, motion = grids.get("FLAIR") or next(iter(grids.values()))
        labels = resample(lesions.labels(anatomy.brain.shape), anatomy, grid, motion, order=0)
        path = truth / f"sub-{subject}_label-lesion_dseg.nii.gz"
        save_nifti(path, labels, grid.affine, np.uint8)
