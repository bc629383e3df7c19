"""ROC and precision-recall curves from score histograms, equal to scikit-learn's to 1e-4."""

from __future__ import annotations

import numpy as np

from normscan.postprocessing.histograms import ScoreHistogram


def rates(histogram: ScoreHistogram) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False-positive rate, recall and precision at every score, from the highest down."""
    used = np.flatnonzero(histogram.normal + histogram.lesion)[::-1]
    false = np.cumsum(histogram.normal[used])
    true = np.cumsum(histogram.lesion[used])
    normal, lesion = histogram.normal.sum(), histogram.lesion.sum()
    return (
        false / max(normal, 1),
        true / max(lesion, 1),
        true / np.maximum(true + false, 1),
    )


def auroc(histogram: ScoreHistogram) -> float:
    """Area under the ROC curve (trapezoids, ties count half); NaN when a class is missing."""
    if not histogram.normal.sum() or not histogram.lesion.sum():
        return float("nan")
    false, recall, _ = rates(histogram)
    return float(np.trapezoid(np.r_[0, recall], np.r_[0, false]))


def auprc(histogram: ScoreHistogram) -> float:
    """Average precision, as scikit-learn defines it; NaN without lesion voxels."""
    if not histogram.lesion.sum():
        return float("nan")
    _, recall, precision = rates(histogram)
    return float(np.sum(np.diff(np.r_[0, recall]) * precision))


def thinned(histogram: ScoreHistogram, points: int = 400) -> dict[str, list[float]]:
    """Curves for plotting: at most ``points`` of them, evenly spread in recall and in FPR."""
    false, recall, precision = rates(histogram)
    if not len(false):
        return {"fpr": [], "recall": [], "precision": []}
    grid = np.linspace(0, 1, points // 2)
    chosen = np.searchsorted(recall, grid), np.searchsorted(false, grid)
    kept = np.unique(np.clip(np.r_[0, *chosen, len(false) - 1], 0, len(false) - 1))
    return {
        "fpr": np.round(false[kept], 6).tolist(),
        "recall": np.round(recall[kept], 6).tolist(),
        "precision": np.round(precision[kept], 6).tolist(),
    }
