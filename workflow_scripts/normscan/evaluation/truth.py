"""Lesion masks as the cohort's classes define them."""

from collections.abc import Sequence

import numpy as np

from normscan.evaluation.region import lesion_and_ignored
from normscan.files import load_nifti


def load_truth(
    path: str, labels: Sequence[int], shape: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels that count as lesion, and voxels that count on neither side (bool).

    Parameters
    ----------
    path : label map on the slice grid, or empty: both are nowhere.
    labels : labels that are sought; empty: all but 0.
    shape : of the slice grid, for scans without a label map.
    """
    if not path:
        return np.zeros(shape, bool), np.zeros(shape, bool)
    return lesion_and_ignored(load_nifti(path, np.int32)[0], labels)


def fullest_slice(mask: np.ndarray) -> int:
    """The axial slice with most voxels of a mask (x, y, z); the middle one when it is empty."""
    counts = mask.sum(axis=(0, 1))
    return int(counts.argmax()) if counts.any() else len(counts) // 2
