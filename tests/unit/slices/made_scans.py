"""Small scans on disk as preprocessing would leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from normscan.files import save_nifti

AFFINE = np.array([[2.0, 0, 0, -30], [0, 2.0, 0, -40], [0, 0, 3.0, -20], [0, 0, 0, 1]])
SHAPE = (32, 40, 10)


def ellipsoid(shape=SHAPE, radius=(0.38, 0.38, 0.4)) -> np.ndarray:
    """A brain-like mask in the middle of a grid."""
    centre = (np.array(shape) - 1) / 2
    places = np.stack(np.indices(shape), axis=-1)
    return (((places - centre) / (np.array(shape) * radius)) ** 2).sum(axis=-1) <= 1


def write_scan(
    folder: Path,
    name: str,
    *,
    contrasts=("FLAIR",),
    shape=SHAPE,
    affine=AFFINE,
    seed: int = 0,
    lesion: bool = False,
) -> dict[str, Any]:
    """Write a scan's volumes; its manifest entry."""
    random = np.random.default_rng(seed)
    brain = ellipsoid(shape)
    folder = Path(folder, name)
    images = {}
    for contrast in contrasts:
        path = folder / f"{name}_{contrast}.nii.gz"
        volume = np.where(brain, random.uniform(0.2, 1.0, shape), 0).astype(np.float32)
        save_nifti(path, volume, affine)
        images[contrast] = str(path)
    save_nifti(folder / "brain.nii.gz", brain, affine, np.uint8)
    lesions = ""
    if lesion:
        labels = np.zeros(shape, np.uint8)
        x, y, z = (n // 2 for n in shape)
        labels[x - 4 : x, y - 3 : y + 3, z - 1 : z + 2] = 1
        labels[x : x + 4, y - 3 : y + 3, z - 1 : z + 2] = 4
        lesions = str(folder / "lesions.nii.gz")
        save_nifti(lesions, labels, affine)
    return {
        "scan": name,
        "subject": name.removeprefix("sub-"),
        "session": "",
        "space": "atlas",
        "images": images,
        "brain": str(folder / "brain.nii.gz"),
        "lesions": lesions,
        "transforms": {contrast: ["a.mat"] for contrast in contrasts},
        "native": images,
        "quality": {"brain_ml": 12.5},
        "content": {contrast: f"digest of {name} {contrast}" for contrast in contrasts},
    }


def manifest(scans: list[dict[str, Any]], cohort: str = "demo", shard: str = "00") -> dict:
    """A manifest of scans."""
    return {
        "cohort": cohort,
        "shard": shard,
        "chain": ["raw", "register", "normalise"],
        "space": "atlas",
        "scans": scans,
        "excluded": [{"scan": "sub-99", "reason": "broken"}],
    }
