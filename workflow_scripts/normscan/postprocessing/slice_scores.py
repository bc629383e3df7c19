"""Scores of whole slices: normal and anomalous ones of a scan, and what adds up over scans.

They are kept in the file of the shard's histograms: what is evaluated is in one place, and stays
when maps are removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normscan.postprocessing.histograms import ScoreHistogram, load_arrays


@dataclass(frozen=True)
class SliceScores:
    """Scores (float64) of the slices of one class each; high means anomalous, any sign."""

    normal: np.ndarray
    anomalous: np.ndarray

    @classmethod
    def of(
        cls, scores: Sequence[float | None], anomalous: np.ndarray, counted: np.ndarray
    ) -> SliceScores:
        """From the scores of a scan's packed slices.

        Parameters
        ----------
        scores : one per slice; None where nothing was scored (too little brain).
        anomalous, counted : bool, one per slice (``evaluation.truth.slice_truth``).
        """
        values = np.array([np.nan if one is None else one for one in scores], float)
        used = counted & ~np.isnan(values)
        return cls(values[used & ~anomalous], values[used & anomalous])

    def __add__(self, other: SliceScores) -> SliceScores:
        return SliceScores(
            np.concatenate([self.normal, other.normal]),
            np.concatenate([self.anomalous, other.anomalous]),
        )

    def histogram(self) -> ScoreHistogram:
        """Counts of every score that occurs, rising: areas under curves of it are exact."""
        both = np.concatenate([self.normal, self.anomalous])
        values, place = np.unique(both, return_inverse=True)
        normal, anomalous = np.split(place, [len(self.normal)])
        return ScoreHistogram(
            np.bincount(normal, minlength=len(values)),
            np.bincount(anomalous, minlength=len(values)),
        )


def slice_arrays(slices: Mapping[str, SliceScores]) -> dict[str, np.ndarray]:
    """Arrays for :func:`~normscan.postprocessing.histograms.save_histograms`."""
    scans = sorted(slices)
    parts = [(slices[scan].normal, slices[scan].anomalous) for scan in scans]
    counts = [[len(normal), len(anomalous)] for normal, anomalous in parts]
    values = [one for both in parts for one in both]
    return {
        "slice_scans": np.array(scans, dtype=np.str_),
        "slice_counts": np.array(counts, np.int64).reshape(-1, 2),
        "slice_scores": np.concatenate(values) if values else np.zeros(0),
    }


def load_slice_scores(path: str | Path) -> dict[str, SliceScores]:
    """Scan -> scores of its slices, for scans that have any; from a file of histograms."""
    scans, counts, scores = load_arrays(path, "slice_scans", "slice_counts", "slice_scores")
    parts = np.split(scores, np.cumsum(counts.ravel())[:-1]) if len(scans) else []
    pairs = zip(parts[::2], parts[1::2])
    return {str(scan): SliceScores(*pair) for scan, pair in zip(scans, pairs)}
