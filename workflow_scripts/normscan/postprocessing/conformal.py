"""Thresholds on healthy scans with a promise for the next one.

Sources: Angelopoulos et al. 2022 (conformal risk control, section 2.1) for the mean, Vovk et al.
2005 (split conformal prediction) for the share of subjects. What is promised holds when the next
healthy subject is exchangeable with those that the threshold was found on (the same scanner, ages
and preprocessing; here they also stopped the training early, which is not quite that). The unit is
the subject: voxels of a scan are no independent draws, so a limit on pooled voxels
(``healthy_fpr``) promises nothing for the next scan.
"""

from __future__ import annotations

import math

import numpy as np

from normscan.postprocessing.histograms import bin_edges


def conformal_threshold(
    counts: np.ndarray, rate: float, exceeding: float | None = None
) -> float | None:
    """Smallest threshold that keeps the promise; None for fewer subjects than it needs.

    Parameters
    ----------
    counts : (subjects, 65536) healthy voxels by score bin, each subject with at least one.
    rate : share of voxels above the threshold, in (0, 1].
    exceeding : None: the next subject's share is at most ``rate`` on average (over subjects and
        over what was drawn to find it). Otherwise: with at most this probability its share is above
        ``rate``.
    """
    if len(counts) < fewest_subjects(rate, exceeding):
        return None
    return float(bin_edges()[_limit(_shares(counts), rate, exceeding)])


def fewest_subjects(rate: float, exceeding: float | None = None) -> int:
    """How many healthy subjects a promise needs: 1 / level - 1 of them, rounded up.

    Of the next subject nothing is known but that it comes in any place of the order with equal
    probability; with fewer, its being the worst of all is more probable than what is promised.
    """
    level = rate if exceeding is None else exceeding
    return max(1, math.ceil(1 / level - 1 - 1e-9))


def left_out(counts: np.ndarray, rate: float, exceeding: float | None = None) -> float:
    """What the promise comes to for subjects that a threshold has not seen, each left out in turn.

    Returns
    -------
    the mean share of voxels above, or with ``exceeding`` the share of subjects above ``rate``. NaN
    where one subject fewer is too few.
    """
    if len(counts) - 1 < fewest_subjects(rate, exceeding):
        return float("nan")
    shares = _shares(counts)
    found = np.array(
        [
            own[_limit(np.delete(shares, number, axis=0), rate, exceeding)]
            for number, own in enumerate(shares)
        ]
    )
    return float(found.mean() if exceeding is None else (found > rate).mean())


def _shares(counts: np.ndarray) -> np.ndarray:
    """Share of each subject's voxels (subjects, bins) above the largest score of every bin."""
    total = counts.sum(axis=1, keepdims=True)
    return (1 - np.cumsum(counts, axis=1) / total).astype(np.float32)


def _limit(shares: np.ndarray, rate: float, exceeding: float | None) -> int:
    """The first bin that keeps the promise; there is one for enough subjects."""
    number = len(shares)
    if exceeding is None:
        # Of the next subject the worst is assumed: all its voxels above.
        bound = (shares.sum(axis=0, dtype=np.float64) + 1) / (number + 1)
        return int(np.argmax(bound <= rate * (1 + 1e-6)))
    own = np.sort((shares <= rate).argmax(axis=1))
    place = math.ceil((number + 1) * (1 - exceeding) - 1e-9)
    return int(own[max(place, 1) - 1])
