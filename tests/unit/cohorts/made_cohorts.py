"""Tiny NIfTI files and folders of empty files for the tests of this room."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from normscan.cohorts.scans import Scan

SHAPE = (8, 9, 6)
AFFINE = np.array([[-1.0, 0, 0, 4], [0, 1.2, 0, -5], [0, 0, 3.0, 7], [0, 0, 0, 1]])


def image(path: Path, seed: int = 0, shape=SHAPE, affine=AFFINE, data=None) -> str:
    """A smooth volume, different for every seed, or the given data."""
    if data is None:
        noise = np.random.default_rng(seed).random(shape, dtype=np.float32)
        data = ndimage.gaussian_filter(noise, 1.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    return str(path)


def mask(
    path: Path, *labels: int, shape=SHAPE, affine=AFFINE, dtype=np.uint8, voxels: int = 2
) -> str:
    """A label map with two voxels of every label."""
    data = np.zeros(shape, dtype)
    for number, label in enumerate(labels):
        data[number, 1 : 1 + voxels, 2] = label
    return image(path, data=data, affine=affine)


def patient(folder: Path, subject: str = "07", **changes) -> Scan:
    """A sound scan of a patient with FLAIR, T1w, brain mask and lesion mask."""
    anat = folder / f"sub-{subject}" / "anat"
    number = int(subject)
    values = {
        "cohort": "ms",
        "subject": subject,
        "images": {
            "FLAIR": image(anat / f"sub-{subject}_FLAIR.nii.gz", seed=number),
            "T1w": image(anat / f"sub-{subject}_T1w.nii.gz", seed=1000 + number, shape=(5, 5, 5)),
        },
        "brain_mask": mask(anat / f"sub-{subject}_desc-brain_mask.nii.gz", 1, 1, 1, 1),
        "lesion_mask": mask(anat / f"sub-{subject}_label-lesion_mask.nii.gz", 1, voxels=1),
    }
    return Scan(**{**values, **changes})


def touch(folder: Path, *names: str) -> Path:
    """Empty files below a folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def names(scan: Scan, folder: Path) -> dict[str, str]:
    """A scan's files relative to a folder, without those it does not have."""
    masks = {"brain_mask": scan.brain_mask, "lesion_mask": scan.lesion_mask}
    files = {**scan.images, **masks, "anatomy": scan.anatomy}
    return {kind: str(Path(path).relative_to(folder)) for kind, path in files.items() if path}
