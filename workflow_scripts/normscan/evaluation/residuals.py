"""Reconstruction error of normal and of anomalous voxels, and how far their histograms differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normscan.errors import NormscanError
from normscan.files import read_json, write_json
from normscan.postprocessing.histograms import BINS as SCORE_BINS
from normscan.postprocessing.histograms import LOWEST_EXPONENT, MANTISSA_BITS, score_bins

PER_OCTAVE = 32
BINS = SCORE_BINS * PER_OCTAVE >> MANTISSA_BITS
# Distances use bins 9 to 12 % wide, so that a lesion of some thousand voxels fills them.
DISTANCE_PER_OCTAVE = 8


@dataclass(frozen=True)
class Residuals:
    """Sums over voxels of one class, and the histogram of their absolute residuals.

    Attributes
    ----------
    count, total, squares : voxels, sum and sum of squares of |residual|.
    histogram : (1024,) counts; residuals of exactly 0 are left out. 32 bins for every doubling from
        2^-20 to 2^12, so that no range is assumed and scans and cohorts add up.
    """

    count: int
    total: float
    squares: float
    histogram: np.ndarray

    @classmethod
    def of(cls, residual: np.ndarray) -> Residuals:
        """From signed or absolute residuals of any shape, finite."""
        size = np.abs(residual.astype(np.float64)).ravel()
        bins = score_bins(size[size > 0]) * PER_OCTAVE >> MANTISSA_BITS
        histogram = np.bincount(bins, minlength=BINS)
        return cls(len(size), float(size.sum()), float((size**2).sum()), histogram)

    def __add__(self, other: Residuals) -> Residuals:
        return Residuals(
            self.count + other.count,
            self.total + other.total,
            self.squares + other.squares,
            self.histogram + other.histogram,
        )

    @property
    def mean(self) -> float:
        """Mean absolute residual over voxels (L1-RE), zeros included; NaN without voxels."""
        return self.total / self.count if self.count else float("nan")

    @property
    def std(self) -> float:
        """Standard deviation of the absolute residual over voxels; NaN without voxels."""
        if not self.count:
            return float("nan")
        return float(np.sqrt(max(self.squares / self.count - self.mean**2, 0)))

    def to_json(self) -> dict:
        """Plain values; of the histogram what lies between its first and last occupied bin."""
        used = np.flatnonzero(self.histogram)
        first, end = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        return {
            "count": self.count,
            "total": self.total,
            "squares": self.squares,
            "first_bin": first,
            "histogram": self.histogram[first:end].tolist(),
        }

    @classmethod
    def from_json(cls, content: dict) -> Residuals:
        """What :meth:`to_json` gave."""
        histogram = np.zeros(BINS, np.int64)
        first, counts = content["first_bin"], content["histogram"]
        histogram[first : first + len(counts)] = counts
        return cls(content["count"], content["total"], content["squares"], histogram)


def save_residuals(path: str | Path, scans: Mapping[str, tuple[Residuals, Residuals]]) -> None:
    """Write the residuals of several scans: scan -> (normal voxels, anomalous voxels)."""
    write_json(
        path,
        {
            scan: {"normal": normal.to_json(), "anomalous": anomalous.to_json()}
            for scan, (normal, anomalous) in scans.items()
        },
    )


def load_residuals(path: str | Path) -> dict[str, tuple[Residuals, Residuals]]:
    """Read what :func:`save_residuals` wrote. NormscanError when missing or broken."""
    content = read_json(path)
    try:
        return {
            scan: (Residuals.from_json(one["normal"]), Residuals.from_json(one["anomalous"]))
            for scan, one in content.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        raise NormscanError(
            f"{path}: holds no residuals of scans; remove it to make it again"
        ) from None


def chi_square(normal: Residuals, anomalous: Residuals) -> float:
    """Chi-square distance of two normalised histograms: 1/2 sum (p - q)^2 / (p + q), in [0, 1].

    Baur et al. 2021 (section III-D) give neither formula nor bins; this is the usual symmetric
    form. It is an f-divergence: with bins that are narrow against the densities it does not depend
    on whether they are linear or, as here, logarithmic (8 for every doubling), and a map multiplied
    by a power of two keeps its distance. Few voxels scatter over the bins and raise it: it is a
    measure of cohorts. NaN when a class has no residual other than 0.
    """
    shape = (-1, PER_OCTAVE // DISTANCE_PER_OCTAVE)
    p, q = (one.histogram.reshape(shape).sum(axis=1) for one in (normal, anomalous))
    if not p.sum() or not q.sum():
        return float("nan")
    p, q = p / p.sum(), q / q.sum()
    both = p + q
    return float(0.5 * np.sum((p - q)[both > 0] ** 2 / both[both > 0]))


def linear_histograms(
    normal: Residuals, anomalous: Residuals, bins: int = 100
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both histograms on common bins of equal width, for plotting (Baur et al. 2021, Fig. 11).

    Returns
    -------
    edges, normal, anomalous : (bins + 1,), (bins,), (bins,); from 0 to what 99.9 % of the voxels of
        either class stay below, what is larger in the last bin. Counts of a logarithmic bin are
        shared by the bins it overlaps.
    """
    fine = residual_edges()
    tops = [fine[1:][_quantile(one.histogram, 0.999)] for one in (normal, anomalous)]
    edges = np.linspace(0, max(tops), bins + 1)
    found = []
    for one in (normal, anomalous):
        below = np.interp(edges, fine, np.r_[0, np.cumsum(one.histogram)])
        below[-1] = one.histogram.sum()
        found.append(np.diff(below))
    return edges, *found


def residual_edges() -> np.ndarray:
    """Edges (1025,) of the bins of :class:`Residuals`; the first is 0."""
    octave, part = np.divmod(np.arange(BINS + 1), PER_OCTAVE)
    edges = 2.0 ** (LOWEST_EXPONENT + octave) * (1 + part / PER_OCTAVE)
    edges[0] = 0
    return edges


def _quantile(counts: np.ndarray, share: float) -> int:
    """First bin up to which a share of the counts lies."""
    return int(np.argmax(np.cumsum(counts) >= share * counts.sum()))
