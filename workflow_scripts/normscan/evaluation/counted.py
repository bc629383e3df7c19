"""What is counted of the filtered maps of a shard, for all metrics that need no threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from normscan.evaluation.region import evaluated_region
from normscan.evaluation.residuals import Residuals, save_residuals
from normscan.evaluation.truth import (
    load_labels,
    load_truth,
    slice_truth,
    slices_without_lesions,
)
from normscan.postprocessing.class_counts import ClassCounts, class_arrays
from normscan.postprocessing.histograms import ScoreHistogram, save_histograms
from normscan.postprocessing.slice_scores import SliceScores, slice_arrays
from normscan.slices.index import ScanEntry


class Counted:
    """Histograms and residuals of a shard, scan by scan.

    Parameters
    ----------
    index : of the pack, beside which the masks are.
    lesion_labels : mask labels that count as lesion; empty: all but 0.
    lesion_classes : abnormality class -> its mask labels; empty: classes are not told apart.
    """

    def __init__(
        self,
        index: str | Path,
        lesion_labels: Sequence[int],
        lesion_classes: Mapping[str, Sequence[int]],
    ):
        self.index, self.labels, self.classes = index, lesion_labels, lesion_classes
        self._histograms: dict[str, ScoreHistogram] = {}
        self._residuals: dict[str, tuple[Residuals, Residuals]] = {}
        self._slices: dict[str, SliceScores] = {}
        self._classes: dict[str, ClassCounts] = {}

    def add(
        self, scan: ScanEntry, filtered: np.ndarray, signed: np.ndarray, brain: np.ndarray
    ) -> None:
        """Count a scan's filtered map and the map that it was made of; volumes (x, y, z)."""
        lesion, ignored = load_truth(self.index, scan, self.labels)
        region = evaluated_region(brain, lesion, ignored)
        free = slices_without_lesions(self.index, scan)
        self._histograms[scan.scan] = ScoreHistogram.of(filtered, lesion, region, free)
        if self.classes:
            labels = load_labels(self.index, scan)
            self._classes[scan.scan] = ClassCounts.of(filtered, labels, brain, self.classes)
        normal, anomalous = signed[region & ~lesion], signed[lesion]
        self._residuals[scan.scan] = (Residuals.of(normal), Residuals.of(anomalous))

    def add_slices(self, scan: ScanEntry, scores: Sequence[float | None]) -> None:
        """Count the scores of a scan's slices as wholes."""
        truth = slice_truth(self.index, scan, self.labels)
        self._slices[scan.scan] = SliceScores.of(scores, *truth)

    def save(self, histograms: str | Path, residuals: str | Path, **facts: str) -> None:
        """Write both files; ``facts`` (cohort, prior) stand beside the histograms."""
        save_histograms(
            histograms,
            self._histograms,
            **{name: np.array(value) for name, value in facts.items()},
            **slice_arrays(self._slices),
            **class_arrays(self._classes),
        )
        save_residuals(residuals, self._residuals)
