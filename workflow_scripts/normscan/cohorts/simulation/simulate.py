"""Simulate one subject: anatomy, lesions, scans of several contrasts, truth, in BIDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normscan.cohorts.simulation import lesions as lesion_kinds
from normscan.cohorts.simulation.anatomy import Anatomy, subject_anatomy
from normscan.cohorts.simulation.contrasts import INTENSITIES, contrast_volume
from normscan.cohorts.simulation.grids import voxel_sizes
from normscan.cohorts.simulation.lesions import Lesions, Tumour, labelled, place_tumour
from normscan.cohorts.simulation.noise import stream
from normscan.cohorts.simulation.scanner import (
    Grid,
    bias_field,
    head_motion,
    rician,
    sampled,
    scanner_grid,
    stored,
)
from normscan.cohorts.simulation.template import BRAIN_TISSUES
from normscan.errors import ConfigError
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
    "bias": 0.2,
    "noise": 0.02,
}
ALLOWED = {
    "subjects": "whole 1..",
    "lesion": ["none", "ms", "tumour", "stroke", "mixed"],
    "deformation": "0..",
    "bias": "0..",
    "noise": "0..",
}
MEANING = {
    "subjects": "that are made [subjects]",
    "seed": "draws anatomies, lesions and noise",
    "lesion": "kind of lesion; mixed: each kind in turn",
    "contrasts": "that every subject has",
    "head": "with skull, scalp and face; false: brain only, zero outside",
    "spacing": "size of voxels: a number, three, or either by contrast; null: clinical grids [mm]",
    "oblique": "whether grids are turned and the head moves between contrasts",
    "deformation": "strength of the random local deformation [mm]",
    "bias": "largest logarithm of the bias field",
    "noise": "standard deviation [white matter on T1w]",
}
KINDS = ("ms", "tumour", "stroke")
FINEST_MM = 1.5  # grid of the anatomy; the bundled maps are an average and no sharper than this


def simulate_scan(
    folder: Path,
    subject: str,
    *,
    cohort: str,
    seed: int = 0,
    lesion: str = "none",
    contrasts: Sequence[str] = ("T1w", "T2w", "FLAIR"),
    head: bool = True,
    spacing: Any = None,
    oblique: bool = True,
    deformation: float = 2.5,
    bias: float = 0.2,
    noise: float = 0.02,
) -> None:
    """Write a simulated subject into a BIDS folder.

    Writes ``sub-X/anat/sub-X_T1w.nii.gz`` and the like, the true brain mask and tissues (grid of
    the first contrast) and, with a lesion, its labels (grid of FLAIR, or of the first contrast)
    below ``derivatives/truth``. Equal arguments give equal bytes; random streams depend on seed,
    cohort, subject and contrast alone.

    Parameters
    ----------
    subject : label without ``sub-``.
    lesion : none, ms, tumour, stroke, or mixed (in turn by the subject's number).
    contrasts : of T1w, T1ce, T2w, FLAIR, PD, DWI.
    head : with skull, scalp and face; False: brain only, zero outside of it.
    spacing : voxel size in mm: one number, three numbers, or either by contrast; None: clinical
        grids (T1w and T1ce 1.4 x 1.4 x 1.6, others 1.2 x 1.2 x 3).
    oblique : turned grids, and motion of the head between contrasts; the first one is at rest.
    deformation : strength of the random local deformation, mm.
    bias : largest logarithm of the bias field.
    noise : standard deviation of the noise, relative to white matter on T1w.

    Raises
    ------
    ConfigError : for a lesion, a contrast or a voxel size that cannot be.
    """
    kind = _lesion_kind(lesion, subject)
    unknown = [contrast for contrast in contrasts if contrast not in INTENSITIES]
    if unknown or not contrasts:
        allowed = ", ".join(INTENSITIES)
        raise ConfigError(f"simulation.contrasts: found {list(contrasts)}; allowed: {allowed}")
    voxels = voxel_sizes(spacing, contrasts)
    working = max(FINEST_MM, min(min(voxel) for voxel in voxels.values()))
    anatomy, lesions = _patient(seed, cohort, subject, kind, working, deformation, head)
    extent = anatomy.fractions.sum(axis=0) > 0.3
    grids: dict[str, tuple[Grid, np.ndarray]] = {}
    for contrast in contrasts:
        rng = stream(seed, cohort, subject, contrast)
        grid = scanner_grid(rng, extent, anatomy.affine, voxels[contrast], oblique)
        motion = head_motion(rng) if oblique and grids else np.eye(4)
        grids[contrast] = grid, motion
        volume = contrast_volume(rng, anatomy, lesions, contrast)
        clean = sampled(volume, anatomy.affine, grid, motion)
        clean *= bias_field(rng, grid.shape, bias)
        data = stored(rician(rng, clean, noise), None if head else _brain(anatomy, grid, motion))
        name = f"sub-{subject}_{contrast}.nii.gz"
        save_nifti(Path(folder) / f"sub-{subject}" / "anat" / name, data, grid.affine)
    _write_truth(Path(folder), subject, anatomy, lesions, grids)


def write_description(folder: Path) -> None:
    """Write ``dataset_description.json`` of a simulated BIDS folder and of its truth."""
    made_by = [{"Name": "normscan", "Description": "simulated from the ICBM 152 2009a maps"}]
    for place, name, kind in (
        (Path(folder), "Simulated heads", "raw"),
        (Path(folder) / "derivatives" / "truth", "Truth of simulated heads", "derivative"),
    ):
        content = {"Name": name, "BIDSVersion": "1.9.0", "DatasetType": kind}
        write_json(place / "dataset_description.json", content | {"GeneratedBy": made_by})


def _lesion_kind(lesion: str, subject: str) -> str:
    if lesion == "mixed":
        digits = "".join(letter for letter in subject if letter.isdigit())
        return KINDS[(int(digits or 1) - 1) % len(KINDS)]
    if lesion not in ("none", *KINDS):
        allowed = ", ".join(("none", *KINDS, "mixed"))
        raise ConfigError(f"simulation.lesion: found '{lesion}'; allowed: {allowed}")
    return lesion


def _patient(
    seed: int, cohort: str, subject: str, kind: str, working: float, deformation: float, head: bool
) -> tuple[Anatomy, Lesions]:
    """Anatomy and lesions of a subject on an isotropic grid of ``working`` mm."""
    rng = stream(seed, cohort, subject, "lesion")
    tumour: Tumour | None = place_tumour(rng, working) if kind == "tumour" else None
    own = stream(seed, cohort, subject, "anatomy")
    anatomy = subject_anatomy(own, working, deformation, head=head, tumour=tumour)
    if kind == "none":
        return anatomy, Lesions()
    if tumour is not None:
        return anatomy, lesion_kinds.tumour_lesions(rng, anatomy, tumour)
    make = {"ms": lesion_kinds.ms_lesions, "stroke": lesion_kinds.stroke_lesions}[kind]
    return anatomy, make(rng, anatomy)


def _brain(anatomy: Anatomy, grid: Grid, motion: np.ndarray) -> np.ndarray:
    return sampled(anatomy.brain.astype(np.float32), anatomy.affine, grid, motion) > 0.5


def _tissues(anatomy: Anatomy, grid: Grid, motion: np.ndarray) -> np.ndarray:
    """1 cerebrospinal fluid, 2 grey, 3 white matter: what there is most of, lesions aside."""
    fractions = [
        sampled(anatomy.tissue(name), anatomy.affine, grid, motion) for name in BRAIN_TISSUES
    ]
    return (1 + np.argmax(fractions, axis=0)).astype(np.uint8)


def _write_truth(folder: Path, subject: str, anatomy: Anatomy, lesions: Lesions, grids) -> None:
    truth = folder / "derivatives" / "truth" / f"sub-{subject}" / "anat"
    grid, motion = next(iter(grids.values()))
    brain = _brain(anatomy, grid, motion)
    path = truth / f"sub-{subject}_desc-brain_mask.nii.gz"
    save_nifti(path, brain, grid.affine, np.uint8)
    path = truth / f"sub-{subject}_desc-anatomy_dseg.nii.gz"
    save_nifti(path, brain * _tissues(anatomy, grid, motion), grid.affine, np.uint8)
    if lesions.fractions:
        grid, motion = grids.get("FLAIR") or next(iter(grids.values()))
        seen = {
            kind: sampled(fraction, anatomy.affine, grid, motion)
            for kind, fraction in lesions.fractions.items()
        }
        labels = labelled(seen) * _brain(anatomy, grid, motion)
        path = truth / f"sub-{subject}_label-lesion_dseg.nii.gz"
        save_nifti(path, labels, grid.affine, np.uint8)
