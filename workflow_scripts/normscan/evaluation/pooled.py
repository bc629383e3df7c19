"""Detections on all voxels of all scans together, without a mean over patients.

Kim et al. 2021, section 2.5: precision, recall and F1 (which is Dice) of pixels at one threshold,
found on the validation patients; background counts on neither side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from normscan.evaluation.metrics import marked
from normscan.postprocessing.histograms import ScoreHistogram, score_bins


def pooled_scores(histogram: ScoreHistogram, threshold: float) -> dict[str, float]:
    """Dice, precision and recall of pooled voxels, small components included.

    Parameters
    ----------
    histogram : filtered scores of all scans in the evaluated region.
    threshold : a voxel is detected when its score is above it (exact for thresholds that rules
        find).

    Returns
    -------
    dice, precision, recall : in [0, 1]. NaN where undefined: precision without detections, recall
        without lesions, Dice without either.
    """
    above = int(score_bins(np.array([threshold]))[0]) + 1
    false, true = (int(one[above:].sum()) for one in (histogram.normal, histogram.lesion))
    lesion = int(histogram.lesion.sum())
    return {
        "dice": _share(2 * true, true + false + lesion),
        "precision": _share(true, true + false),
        "recall": _share(true, lesion),
    }


def operating_points(
    histogram: ScoreHistogram,
    thresholds: Mapping[str, float | None],
    chosen_here: Iterable[str] = (),
) -> list[tuple[str, str, float]]:
    """:func:`pooled_scores` at every threshold rule that has one threshold for all voxels.

    Parameters
    ----------
    thresholds : rule -> threshold; None (a rule per slice, or one that found none) has no rows.
    chosen_here : rules whose threshold was chosen on these voxels; they are marked as oracles.

    Returns
    -------
    rows : (threshold rule, metric, value).
    """
    chosen_here = set(chosen_here)
    return [
        (marked(rule, chosen_here), metric, value)
        for rule, threshold in thresholds.items()
        if threshold is not None
        for metric, value in pooled_scores(histogram, threshold).items()
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
