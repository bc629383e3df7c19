"""Threshold rules: how the operating point is chosen. A voxel is detected when score > threshold."""

from __future__ import annotations

import numpy as np

from normscan.errors import NormscanError
from normscan.postprocessing.histograms import ScoreHistogram, bin_edges

# Rules with `cohorts` need labelled validation patients; the others look at healthy scans only.
RULES = {
    "best_dice": {"cohorts": None},
    "youden": {"cohorts": None},
    "healthy_percentile": {"percentile": 98.0},
    "healthy_fpr": {"rate": 0.01},
}


def find_threshold(rule: str, histogram: ScoreHistogram, **settings) -> float:
    """The threshold that a rule chooses on pooled voxels.

    Parameters
    ----------
    rule : ``best_dice`` or ``youden`` (validation patients), ``healthy_percentile`` or
        ``healthy_fpr`` (healthy scans).
    histogram : pooled scores of those scans.
    settings : ``percentile`` in per cent, or ``rate`` in [0, 1].
    """
    if rule == "best_dice":
        return best_dice(histogram)[1]
    if rule == "youden":
        return youden(histogram)
    if rule == "healthy_percentile":
        return false_positive_limit(histogram, 1 - settings["percentile"] / 100)
    if rule == "healthy_fpr":
        return false_positive_limit(histogram, settings["rate"])
    raise NormscanError(f"unknown threshold rule '{rule}'; allowed: {', '.join(RULES)}")


def best_dice(histogram: ScoreHistogram) -> tuple[float, float]:
    """Largest voxel-wise Dice over all thresholds, and the threshold.

    Every bin edge is tried, so nothing is assumed about the curve's shape (Baur et al. 2021 search
    greedily to three decimals). NaN when there are no lesion voxels.
    """
    false, true = _above(histogram)
    lesion = histogram.lesion.sum()
    if not lesion:
        return float("nan"), float("nan")
    dice = 2 * true / np.maximum(true + false + lesion, 1)
    best = int(dice.argmax())
    return float(dice[best]), float(bin_edges()[best])


def youden(histogram: ScoreHistogram) -> float:
    """Threshold with the largest TPR - FPR (You et al. 2019, section 2.4: DSC_AUC)."""
    false, true = _above(histogram)
    gain = true / max(histogram.lesion.sum(), 1) - false / max(histogram.normal.sum(), 1)
    return float(bin_edges()[int(gain.argmax())])


def false_positive_limit(histogram: ScoreHistogram, rate: float) -> float:
    """Smallest threshold with at most ``rate`` of the healthy voxels above it.

    You et al. 2019, section 2.4, search it by golden section; a histogram gives it exactly, up to
    the width of a bin.
    """
    total = histogram.normal.sum()
    if not total:
        raise NormscanError("no healthy voxels to find a threshold on")
    false, _ = _above(histogram)
    return float(bin_edges()[int(np.argmax(false <= rate * total))])


def _above(histogram: ScoreHistogram) -> tuple[np.ndarray, np.ndarray]:
    """Normal and lesion voxels above each bin's upper edge."""
    return tuple(count.sum() - np.cumsum(count) for count in (histogram.normal, histogram.lesion))
