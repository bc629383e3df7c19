"""Areas and Dice of pooled voxels with their uncertainty over scans, from score histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from normscan.postprocessing.histograms import ScoreHistogram

# Resamplings that are worked on at once: each needs memory for all bins that are used.
BLOCK = 32


def resampling_weights(scans: int, samples: int, seed: int = 0) -> np.ndarray:
    """How often each of so many scans is drawn (1 + samples, scans); first: each once.

    The same for the same numbers, so that approaches are compared on equal draws.
    """
    if not scans:
        return np.zeros((1 + samples, 0), int)
    drawn = np.random.default_rng(seed).multinomial(scans, np.full(scans, 1 / scans), samples)
    return np.vstack([np.ones((1, scans), int), drawn])


def weighted_scores(
    histograms: Sequence[ScoreHistogram], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """AUPRC and best Dice of all voxels of weighted scans together.

    Parameters
    ----------
    histograms : (scans,), at least one.
    weights : (samples, scans) whole numbers.

    Returns
    -------
    ``auprc``, ``best_dice`` : (samples,), as of ``curves.auprc`` and ``thresholds.best_dice``; NaN
    where no lesion or no normal voxel was drawn.
    """
    normal, lesion = (
        np.stack([getattr(one, name) for one in histograms]) for name in ("normal", "lesion")
    )
    used = np.flatnonzero((normal + lesion).any(axis=0))[::-1]
    normal, lesion = normal[:, used].astype(float), lesion[:, used].astype(float)
    # Voxels with the score 0 are never detected.
    detected = used > 0
    found: dict[str, list[np.ndarray]] = {"auprc": [], "best_dice": []}
    for start in range(0, len(weights), BLOCK):
        own = weights[start : start + BLOCK].astype(float)
        false, true = (np.cumsum(own @ one, axis=1) for one in (normal, lesion))
        both = (false[:, -1] > 0) & (true[:, -1] > 0)
        total = np.maximum(true[:, -1:], 1)
        recall = np.diff(true, axis=1, prepend=0) / total
        area = (recall * true / np.maximum(true + false, 1)).sum(axis=1)
        dice = (2 * true / np.maximum(true + false + total, 1))[:, detected]
        best = dice.max(axis=1, initial=0)
        found["auprc"].append(np.where(both, area, np.nan))
        found["best_dice"].append(np.where(both, best, np.nan))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def by_subject(
    scans: Mapping[str, ScoreHistogram], subject_of: Mapping[str, str]
) -> list[ScoreHistogram]:
    """Histograms of subjects (all scans of one together), in the order of their labels.

    Parameters
    ----------
    scans : scan -> its histogram.
    subject_of : scan -> subject, of the scans that count.
    """
    found: dict[str, ScoreHistogram] = {}
    for scan, histogram in scans.items():
        if scan in subject_of:
            subject = subject_of[scan]
            found[subject] = found[subject] + histogram if subject in found else histogram
    return [found[one] for one in sorted(found)]
