"""Free-response ROC: lesions found against false alarms per scan, over thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas

from normscan.evaluation.segmentation import lesion_counts
from normscan.postprocessing.components import drop_small, label
from normscan.postprocessing.histograms import ScoreHistogram
from normscan.postprocessing.thresholds import find_threshold

COLUMNS = ["scan", "threshold", "lesions", "found", "false_positives"]
# Shares of healthy voxels above the thresholds, from few false alarms to many.
RATES = np.logspace(-4.5, -1, 15)


def froc_thresholds(healthy: ScoreHistogram | None) -> list[float]:
    """Thresholds that :data:`RATES` of healthy voxels exceed, falling; none without healthy scans.

    The same for all scans of all cohorts, and found without their labels.
    """
    if healthy is None or not healthy.normal.sum():
        return []
    found = [find_threshold("healthy_fpr", healthy, rate=float(rate)) for rate in RATES]
    return sorted({one for one in found if one is not None}, reverse=True)


def froc_counts(
    score: np.ndarray,
    lesion: np.ndarray,
    thresholds: Sequence[float],
    minimum_voxels: int,
    ignored: np.ndarray | None = None,
) -> list[tuple[float, int, int, int]]:
    """Lesions found and false alarms of one scan at every threshold.

    Parameters
    ----------
    score : (x, y, z) filtered map. lesion : (x, y, z) bool.
    minimum_voxels : smaller detections are dropped.
    ignored : (x, y, z) bool, voxels that count on neither side; None: there are none.

    Returns
    -------
    rows : (threshold, lesions, lesions found, detections that touch no lesion); lesions and
        detections are connected components, as in ``segmentation.segmentation_scores``.
    """
    truth, lesions = label(lesion)
    rows = []
    for threshold in thresholds:
        detected = drop_small(score > threshold, minimum_voxels)
        found, _, false = lesion_counts(detected, lesion, truth, ignored)
        rows.append((float(threshold), lesions, found, false))
    return rows


def froc_curve(counts: pandas.DataFrame) -> dict[str, list[float]]:
    """Pool the counts of several scans.

    Parameters
    ----------
    counts : table with the columns :data:`COLUMNS`; every scan at the same thresholds.

    Returns
    -------
    curve : ``threshold`` (falling), ``false_positives`` (mean per scan) and ``recall`` (share of
        all lesions that are found; NaN without lesions).
    """
    scans = counts["scan"].nunique()
    pooled = counts.groupby("threshold")[["lesions", "found", "false_positives"]].sum()
    pooled = pooled.sort_index(ascending=False)
    recall = pooled["found"] / pooled["lesions"].where(pooled["lesions"] > 0)
    return {
        "threshold": pooled.index.tolist(),
        "false_positives": (pooled["false_positives"] / max(scans, 1)).tolist(),
        "recall": recall.tolist(),
    }
