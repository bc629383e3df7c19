"""ROC and precision-recall curves from score histograms, equal to scikit-learn's to 1e-4."""

from __future__ import annotations

import numpy as np

from normscan.postprocessing.histograms import ScoreHistogram


def rates(histogram: ScoreHistogram) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False-positive rate, recall and precision at every score that occurs, from the highest down.

    Rates of a class without voxels are 0.
    """
    used = np.flatnonzero(histogram.normal + histogram.lesion)[::-1]
    false = np.cumsum(histogram.normal[used])
    true = np.cumsum(histogram.lesion[used])
    normal, lesion = histogram.normal.sum(), histogram.lesion.sum()
    return (
        false / max(normal, 1),
        true / max(lesion, 1),
        true / np.maximum(true + false, 1),
    )


def missing_class(histogram: ScoreHistogram) -> str:
    """Why areas under curves are undefined; empty when both classes have voxels."""
    missing = [name for name in ("normal", "lesion") if not getattr(histogram, name).sum()]
    return f"no {' and no '.join(missing)} voxels" if missing else ""


def auroc(histogram: ScoreHistogram) -> float:
    """Area under the ROC curve (trapezoids, ties count half); NaN when a class is missing."""
    if missing_class(histogram):
        return float("nan")
    false, recall, _ = rates(histogram)
    return float(np.trapezoid(np.r_[0, recall], np.r_[0, false]))


def auprc(histogram: ScoreHistogram) -> float:
    """Average precision, as scikit-learn defines it; NaN when a class is missing.

    The step-wise sum: trapezoids between points of a precision-recall curve are too optimistic
    (Davis and Goadrich, ICML 2006).
    """
    if missing_class(histogram):
        return float("nan")
    _, recall, precision = rates(histogram)
    return float(np.sum(np.diff(np.r_[0, recall]) * precision))


def thinned(histogram: ScoreHistogram, points: int = 400) -> dict[str, list[float]]:
    """Curves for plotting: at most ``points`` of them, all of them points of the full curves.

    Evenly spread in recall, in false-positive rate and, for its left end, in the logarithm of the
    false-positive rate.
    """
    false, recall, precision = rates(histogram)
    if not len(false):
        return {"fpr": [], "recall": [], "precision": []}
    part = max((points - 2) // 3, 2)
    even = np.linspace(0, 1, part)
    chosen = (
        np.searchsorted(recall, even),
        np.searchsorted(false, even),
        np.searchsorted(false, np.logspace(-6, 0, part)),
    )
    kept = np.unique(np.clip(np.r_[0, *chosen, len(false) - 1], 0, len(false) - 1))
    return {
        "fpr": _short(false[kept]),
        "recall": _short(recall[kept]),
        "precision": _short(precision[kept]),
    }


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
