"""Scores of one scan by abnormality class: counts between 1,000 operating thresholds.

Kobayashi et al. 2021, section III-C-6: the standardised scores of a scan are divided into 1,000
operating thresholds. Assumed: evenly, from the lowest to the highest score inside of the body. A
factor and an offset of all scores change nothing then, so a map need not be standardised.

They are kept in the file of the shard's histograms, as the scores of slices are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normscan.postprocessing.histograms import load_arrays

THRESHOLDS = 1000
Classes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class ClassCounts:
    """Counts of a scan's voxels by score, from the lowest threshold to the highest.

    Attributes
    ----------
    names : the k classes.
    counts : int64 (1 + k, 1000); first the voxels of no class, then those of each.
    """

    names: tuple[str, ...]
    counts: np.ndarray

    @classmethod
    def of(
        cls, score: np.ndarray, labels: np.ndarray, body: np.ndarray, classes: Classes
    ) -> ClassCounts:
        """Count the voxels of the body and of the labels.

        Parameters
        ----------
        score : float, finite, any sign; any shape.
        labels : int, the same shape. Labels of no class are on neither side.
        body : bool, the same shape; outside of it a voxel counts only as one of a class.
        classes : class -> its labels; a label may belong to several.
        """
        members = [body & (labels == 0), *(np.isin(labels, list(one)) for one in classes.values())]
        inside = np.logical_or.reduce(members)
        counts = np.zeros((len(members), THRESHOLDS), np.int64)
        if inside.any():
            bins = _even_bins(score[inside])
            for count, member in zip(counts, members):
                count += np.bincount(bins[member[inside]], minlength=THRESHOLDS)
        return cls(tuple(classes), counts)


def _even_bins(score: np.ndarray) -> np.ndarray:
    """Which of 1,000 equal parts of its range each score lies in; equal scores all in the first."""
    low, high = float(score.min()), float(score.max())
    if not high > low:
        return np.zeros(score.shape, np.int64)
    share = (score.astype(np.float64) - low) / (high - low)
    return np.minimum((share * THRESHOLDS).astype(np.int64), THRESHOLDS - 1)


def class_arrays(scans: Mapping[str, ClassCounts]) -> dict[str, np.ndarray]:
    """Arrays for :func:`~normscan.postprocessing.histograms.save_histograms`.

    All scans are of one cohort, and have its classes.
    """
    names = sorted(scans)
    classes = scans[names[0]].names if names else ()
    counts = np.stack([scans[name].counts for name in names]) if names else np.zeros((0, 1, 1))
    return {
        "class_scans": np.array(names, dtype=np.str_),
        "class_names": np.array(classes, dtype=np.str_),
        "class_counts": counts.astype(np.int64),
    }


def load_class_counts(path: str | Path) -> dict[str, ClassCounts]:
    """Scan -> its counts, where the cohort has classes; from a file of histograms."""
    scans, names, counts = load_arrays(path, "class_scans", "class_names", "class_counts")
    classes = tuple(str(name) for name in names)
    return {str(scan): ClassCounts(classes, one) for scan, one in zip(scans, counts)}
