"""Histograms of anomaly scores: all metrics of a cohort in memory that does not grow with it.

A score's bin is the top of its float32 bit pattern: 32 exponents (2^-20 to 2^12) with 11 bits of
mantissa, 65,536 bins, bin 0 for zero. The bins are the same for every scan and detector, so counts
of scans add up whatever the cohort's maximum; within a bin scores differ by less than 0.05 %.
Positive scores below 2^-20 fall into bin 1, those from 2^12 into the last.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from normscan.errors import NormscanError
from normscan.files import atomic_path

BINS = 1 << 16
MANTISSA_BITS = 11
LOWEST_EXPONENT = -20
_ARRAYS = ("scans", "rows", "bins", "normal", "lesion")
# Only in files in which a scan has lesions.
FREE = "free"
_SHIFT = 23 - MANTISSA_BITS
_FIRST = (LOWEST_EXPONENT + 127) << MANTISSA_BITS


@dataclass(frozen=True)
class ScoreHistogram:
    """Counts (65536,) int64 of voxels by score.

    Attributes
    ----------
    normal, lesion : voxels of either kind.
    free : normal voxels of axial slices without any lesion; of a healthy scan all of them.
    """

    normal: np.ndarray
    lesion: np.ndarray
    free: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        score: np.ndarray,
        lesion: np.ndarray,
        region: np.ndarray,
        free: np.ndarray | None = None,
    ) -> ScoreHistogram:
        """Count the voxels of a region.

        Parameters
        ----------
        score : float, >= 0, finite; any shape.
        lesion, region : bool, the same shape.
        free : bool, of the last axis: slices without any lesion; None: all of them.
        """
        bins, inside = score_bins(score[region]), lesion[region]
        counted = [
            np.bincount(bins[~inside], minlength=BINS),
            np.bincount(bins[inside], minlength=BINS),
        ]
        if free is not None and not free.all():
            own = np.broadcast_to(free, score.shape)[region]
            counted.append(np.bincount(bins[own & ~inside], minlength=BINS))
        return cls(*counted)

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        free = None
        if self.free is not None or other.free is not None:
            free = self.without_lesions().normal + other.without_lesions().normal
        return ScoreHistogram(self.normal + other.normal, self.lesion + other.lesion, free)

    def without_lesions(self) -> ScoreHistogram:
        """Of slices without any lesion: what counts as healthy."""
        return ScoreHistogram(
            self.normal if self.free is None else self.free, np.zeros_like(self.lesion)
        )

    def exceeding(self, threshold: float) -> float:
        """Share of normal voxels with a score above a threshold (false-positive rate).

        Exact for thresholds that rules find; up to the width of a bin for others. NaN without
        normal voxels.
        """
        total = self.normal.sum()
        above = self.normal[score_bins(np.array([threshold]))[0] + 1 :].sum()
        return float(above / total) if total else float("nan")


def score_bins(score: np.ndarray) -> np.ndarray:
    """Bin numbers of scores. NormscanError for negative or non-finite scores."""
    score = np.ascontiguousarray(score, np.float32)
    if score.size and not (np.isfinite(score).all() and score.min() >= 0):
        raise NormscanError("anomaly scores must be finite and not negative")
    bits = (score.view(np.uint32) >> _SHIFT).astype(np.int64)
    return np.where(score == 0, 0, np.clip(bits - _FIRST, 1, BINS - 1))


def bin_edges() -> np.ndarray:
    """Largest score (65536,) float32 of every bin: thresholds at which whole bins are above."""
    bits = (np.arange(1, BINS + 1) + _FIRST) << _SHIFT
    edges = (bits.astype(np.uint32) - 1).view(np.float32).copy()
    edges[0], edges[-1] = 0, np.finfo(np.float32).max
    return edges


def save_histograms(
    path: str | Path, histograms: dict[str, ScoreHistogram], **others: np.ndarray
) -> None:
    """Write the histograms of several scans, empty bins left out (NumPy, no objects).

    Parameters
    ----------
    others : further arrays of the file, by name (:func:`load_arrays`).
    """
    scans = sorted(histograms)
    rows, bins, normal, lesion, free = [], [], [], [], []
    for number, scan in enumerate(scans):
        one = histograms[scan]
        used = np.flatnonzero(one.normal + one.lesion)
        rows.append(np.full(len(used), number))
        bins.append(used)
        normal.append(one.normal[used])
        lesion.append(one.lesion[used])
        free.append(one.without_lesions().normal[used])
    if any(one.free is not None for one in histograms.values()):
        others = {FREE: np.concatenate(free).astype(np.int64), **others}

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)

    with atomic_path(path) as temporary:
        with temporary.open("wb") as stream:
            arrays: dict[str, Any] = {
                "scans": np.array(scans, dtype=np.str_),
                "rows": joined(rows),
                "bins": joined(bins),
                "normal": joined(normal),
                "lesion": joined(lesion),
                **others,
            }
            np.savez_compressed(stream, **arrays)


def load_histograms(path: str | Path) -> dict[str, ScoreHistogram]:
    """Read what :func:`save_histograms` wrote. NormscanError when missing or broken."""
    scans, rows, bins, *kinds = load_arrays(path, *_ARRAYS, optional=(FREE,))
    ends = np.searchsorted(rows, np.arange(len(scans) + 1))
    found = {}
    for number, scan in enumerate(scans):
        own = slice(ends[number], ends[number + 1])
        counts = np.zeros((len(kinds), BINS), np.int64)
        for count, values in zip(counts, kinds):
            count[bins[own]] = values[own]
        found[str(scan)] = ScoreHistogram(*counts)
    return found


def load_arrays(path: str | Path, *names: str, optional: tuple[str, ...] = ()) -> list[np.ndarray]:
    """Some arrays of a file of histograms. NormscanError when missing or broken.

    Parameters
    ----------
    optional : those that come last where the file has them.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            return [
                content[name] for name in [*names, *(one for one in optional if one in content)]
            ]
    except FileNotFoundError:
        raise NormscanError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise NormscanError(f"{path}: not a file of score histograms ({error})") from None
