"""Lesion masks as the cohort's classes define them."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from normscan.evaluation.region import lesion_and_ignored
from normscan.slices.index import ScanEntry, layer_volume, open_layer


def load_truth(
    index: str | Path, scan: ScanEntry, labels: Collection[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels that count as lesion, and voxels that count on neither side (bool, (x, y, z)).

    Parameters
    ----------
    index : of the pack, in whose layer the label map is.
    scan : its entry there; for one without a label map both are nowhere.
    labels : labels that are sought; empty: all but 0.
    """
    return lesion_and_ignored(layer_volume(index, "lesion", scan), labels)


def load_labels(index: str | Path, scan: ScanEntry) -> np.ndarray:
    """The label map of a scan (int, (x, y, z)) from the layer of its pack; 0 is normal."""
    return layer_volume(index, "lesion", scan)


def slices_without_lesions(index: str | Path, scan: ScanEntry) -> np.ndarray:
    """Which axial slices (z,) have no label at all, as the lesion-free ones of a training."""
    return np.asarray(~layer_volume(index, "lesion", scan).any(axis=(0, 1)))


def load_brain(index: str | Path, scan: ScanEntry) -> np.ndarray:
    """The brain mask of a scan (bool, (x, y, z)) from the layer of its pack."""
    return layer_volume(index, "brain", scan) > 0


def slice_truth(
    index: str | Path, scan: ScanEntry, labels: Collection[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each packed slice is anomalous, and whether it counts at all (bool, (n,)).

    A slice is anomalous when it has a voxel that counts as lesion. One that has only voxels that
    count on neither side is left out.
    """
    lesion, ignored = lesion_and_ignored(open_layer(index, "lesion")[scan.rows], labels)
    anomalous, doubtful = (np.asarray(one.any(axis=(1, 2))) for one in (lesion, ignored))
    return anomalous, anomalous | ~doubtful


def fullest_slice(mask: np.ndarray) -> int:
    """The axial slice with most voxels of a mask (x, y, z); the middle one when it is empty."""
    counts = mask.sum(axis=(0, 1))
    return int(counts.argmax()) if counts.any() else len(counts) // 2
