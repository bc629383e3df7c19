"""Reconstruction error of normal and of anomalous voxels, and how far their histograms differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 100


@dataclass(frozen=True)
class Residuals:
    """Sums over voxels of one class, and the histogram of their absolute residuals.

    Attributes
    ----------
    count, total, squares : voxels, sum and sum of squares of |residual|.
    histogram : (100,) counts over [0, 1], residuals of exactly 0 left out (Baur et al. 2021,
        Fig. 11), larger ones in the last bin.
    """

    count: int
    total: float
    squares: float
    histogram: np.ndarray

    @classmethod
    def of(cls, residual: np.ndarray) -> Residuals:
        """From residuals (n,)."""
        size = np.abs(residual.astype(np.float64))
        positive = np.minimum(size[size > 0], 1)
        histogram, _ = np.histogram(positive, bins=BINS, range=(0, 1))
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
        """Mean absolute residual (L1-RE); NaN without voxels."""
        return self.total / self.count if self.count else float("nan")

    @property
    def std(self) -> float:
        """Standard deviation of the absolute residual."""
        if not self.count:
            return float("nan")
        return float(np.sqrt(max(self.squares / self.count - self.mean**2, 0)))

    def to_json(self) -> dict:
        """Plain values."""
        return {
            "count": self.count,
            "total": self.total,
            "squares": self.squares,
            "histogram": self.histogram.tolist(),
        }

    @classmethod
    def from_json(cls, content: dict) -> Residuals:
        """What :meth:`to_json` gave."""
        histogram = np.array(content["histogram"])
        return cls(content["count"], content["total"], content["squares"], histogram)


def chi_square(normal: Residuals, anomalous: Residuals) -> float:
    """Chi-square distance of two normalised histograms: 1/2 sum (p - q)^2 / (p + q), in [0, 1].

    The formula and the number of bins are not given in Baur et al. 2021 (section III-D); this is the
    usual symmetric form. NaN when a class has no residual other than 0.
    """
    if not normal.histogram.sum() or not anomalous.histogram.sum():
        return float("nan")
    p = normal.histogram / normal.histogram.sum()
    q = anomalous.histogram / anomalous.histogram.sum()
    both = p + q
    return float(0.5 * np.sum((p - q)[both > 0] ** 2 / both[both > 0]))
