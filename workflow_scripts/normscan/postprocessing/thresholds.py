"""Threshold rules: how the operating point is chosen. A voxel is detected when score > threshold.

All rules work on pooled score histograms. A threshold is the largest score of a bin, so that the
voxels above it are those of whole bins, and what a rule finds holds exactly for the maps.
"""

from __future__ import annotations

import numpy as np

from normscan.errors import NormscanError
from normscan.postprocessing.golden_section import smallest_within
from normscan.postprocessing.histograms import BINS, ScoreHistogram, bin_edges, score_bins

# Rules with `cohorts` need labelled validation patients; the others look at healthy scans only.
RULES = {
    "best_dice": {"cohorts": None},
    "youden": {"cohorts": None},
    "best_synthetic": {"cohorts": None},
    "conformal": {"rate": 0.05, "exceeding": None},
    "healthy_percentile": {"percentile": 98.0},
    "healthy_fpr": {"rate": 0.01, "search": "exact"},
}
ALLOWED = {
    "conformal": {"rate": ">0..1", "exceeding": ">0..1"},
    "healthy_percentile": {"percentile": "0..100"},
    "healthy_fpr": {"rate": "0..1", "search": ["exact", "golden_section"]},
}
MEANING = {
    "best_dice": "best Dice on validation patients: an oracle where these are reported on",
    "youden": "largest sensitivity + specificity on validation patients",
    "best_synthetic": "best Dice on validation hosts of synthetic cohorts",
    "conformal": "a limit on healthy scans that holds for the next healthy subject as well",
    "healthy_percentile": "a percentile of the scores of healthy validation scans",
    "healthy_fpr": "a limit of the false positive rate on healthy validation scans",
    "cohorts": "whose validation scans count; null: all that may",
    "conformal.rate": "share of a healthy subject's voxels that may be above, on average",
    "exceeding": "probability with which the next subject may be above rate; null: rate holds on "
    "average",
    "percentile": "of healthy voxels [per cent]",
    "rate": "share of healthy voxels that may be above",
    "search": "all thresholds, or the paper's golden section",
}
# Rules whose `cohorts` are synthetic: their lesions are known without anybody's labels.
SYNTHETIC_RULES = ("best_synthetic",)
# Rules that look at healthy subjects one by one (:mod:`normscan.postprocessing.conformal`).
SUBJECT_RULES = ("conformal",)
# Settings that a rule's label leaves out: it finds the same threshold with any of them.
UNNAMED = ("search",)
# Of a golden-section search: share of the largest score.
TOLERANCE = 1e-6
# A limit of which less than this share is used is said not to be reached.
REACHED = 0.5

# Why an approach without maps has no operating point; no failure of anything.
ONLY_SLICES = "only slices are scored"


def find_threshold(rule: str, histogram: ScoreHistogram, **settings) -> float | None:
    """The threshold that a rule chooses on pooled voxels; None where :func:`why_none` has a reason.

    Parameters
    ----------
    rule : ``best_dice`` or ``youden`` (on validation patients), ``best_synthetic`` (best Dice on
        validation scans of synthetic cohorts); ``healthy_percentile`` or ``healthy_fpr`` (on
        healthy scans, without any label). Rules of :data:`SUBJECT_RULES` have no pooled voxels.
    histogram : pooled scores of those scans.
    settings : ``percentile`` in per cent, or ``rate`` in [0, 1] with ``search``: ``exact`` (the
        default) or ``golden_section``.

    Raises
    ------
    NormscanError : an unknown rule, or a setting out of its range.
    """
    known = [one for one in RULES if one not in SUBJECT_RULES]
    if rule not in known:
        raise NormscanError(f"unknown threshold rule '{rule}'; allowed: {', '.join(known)}")
    if why_none(rule, histogram):
        return None
    if rule in ("best_dice", "best_synthetic"):
        return best_dice(histogram)[1]
    if rule == "youden":
        return youden(histogram)
    if rule == "healthy_percentile":
        percentile = _within(settings["percentile"], 100, "healthy_percentile.percentile")
        return false_positive_limit(histogram, 1 - percentile / 100)
    rate = _within(settings["rate"], 1, "healthy_fpr.rate")
    if settings.get("search", "exact") == "golden_section":
        return searched_limit(histogram, rate)
    return false_positive_limit(histogram, rate)


def why_none(rule: str, histogram: ScoreHistogram) -> str:
    """Why a rule can choose no threshold on these voxels; empty when it can."""
    if not histogram.normal.sum():
        return "the scans have no normal voxels"
    if "cohorts" in RULES[rule] and not histogram.lesion.sum():
        whose = "synthetic scans" if rule in SYNTHETIC_RULES else "patients"
        return f"the validation {whose} have no lesion voxels"
    return ""


def best_dice(histogram: ScoreHistogram) -> tuple[float, float]:
    """Largest voxel-wise Dice over all thresholds, and the threshold.

    Every bin is tried (relative steps of 0.05 %), so nothing is assumed about the curve's shape;
    Baur et al. 2021 search greedily to three decimals. Voxels with score 0 are never detected. Of
    equally good thresholds the lowest. NaN when there are no lesion voxels.
    """
    lesion = histogram.lesion.sum()
    if not lesion:
        return float("nan"), float("nan")
    false, true = _above(histogram)
    dice = 2 * true / (true + false + lesion)
    best = int(dice.argmax())
    return float(dice[best]), float(bin_edges()[best])


def youden(histogram: ScoreHistogram) -> float:
    """Threshold with the largest TPR - FPR; NaN when a class has no voxels.

    You et al. 2019 call the Dice at this point DSC_AUC, an optimistic bound.
    """
    normal, lesion = histogram.normal.sum(), histogram.lesion.sum()
    if not normal or not lesion:
        return float("nan")
    false, true = _above(histogram)
    return float(bin_edges()[int((true / lesion - false / normal).argmax())])


def false_positive_limit(histogram: ScoreHistogram, rate: float) -> float:
    """Smallest threshold with at most ``rate`` of the healthy voxels above it.

    You et al. 2019 search it by golden section (:func:`searched_limit`). The rate falls
    monotonically with the threshold, so the histogram gives the smallest threshold at once, up to
    the width of a bin (0.05 %).

    Raises
    ------
    NormscanError : there are no normal voxels.
    """
    total = histogram.normal.sum()
    if not total:
        raise NormscanError("no healthy voxels to find a threshold on")
    false, _ = _above(histogram)
    # Rounding of rates such as 1 - 98 / 100 must not cost a voxel.
    return float(bin_edges()[int(np.argmax(false <= rate * total * (1 + 1e-9)))])


def searched_limit(histogram: ScoreHistogram, rate: float) -> float:
    """:func:`false_positive_limit` by golden section (You et al. 2019, section 2.4).

    Equal to it up to ``TOLERANCE`` of the largest score, and to the width of a bin.
    """
    used = np.flatnonzero(histogram.normal)
    if not len(used):
        raise NormscanError("no healthy voxels to find a threshold on")
    edges, limit = bin_edges(), rate * (1 + 1e-9)
    # The last bin ends at the largest number there is.
    largest = float(edges[used[-1]]) if used[-1] < BINS - 1 else 2.0 * float(edges[-2])
    found = smallest_within(histogram.exceeding, limit, largest, TOLERANCE * largest)
    # Whole bins are above a threshold.
    return float(edges[score_bins(np.array([found]))[0]])


def limit_note(rule: str, histogram: ScoreHistogram, threshold: float | None, **settings) -> str:
    """What became of a limit of false positives that no threshold comes near; empty otherwise.

    The limit is kept all the same, by the next threshold: many voxels may share a score (a map of
    ranks, probabilities of exactly 1), and a limit below one voxel allows none. A limit of 0 asks
    for that itself. Or fewer voxels than the limit have any
    score at all: these are above.
    """
    limit = settings.get("rate")
    if limit is None and "percentile" in settings:
        limit = 1 - settings["percentile"] / 100
    if not limit or threshold is None:
        return ""
    rate, total = histogram.exceeding(threshold), int(histogram.normal.sum())
    if rate >= REACHED * limit:
        return ""
    if threshold == 0:
        return f"only {rate:.3g} of the healthy voxels have any score, all within {limit:g}"
    if limit * total < 1:
        return (
            f"{total} healthy voxels are too few for a limit of {limit:g}: none of them is above "
            f"the threshold {threshold:g}"
        )
    shared = histogram.normal[score_bins(np.array([threshold]))[0]] / total
    return (
        f"the limit {limit:g} cannot be met: {shared:.3g} of the healthy voxels share the score "
        f"{threshold:g}; at this threshold {rate:.3g} are above it"
    )


def _above(histogram: ScoreHistogram) -> tuple[np.ndarray, np.ndarray]:
    """Normal and lesion voxels above each bin's largest score."""
    return tuple(count.sum() - np.cumsum(count) for count in (histogram.normal, histogram.lesion))


def _within(value: float, largest: float, name: str) -> float:
    if not 0 <= value <= largest:
        raise NormscanError(f"{name}: found {value}; must be between 0 and {largest}")
    return value
