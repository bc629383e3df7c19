"""Robust mean and covariance of scans at every voxel of their grid, by passes over the slices.

Sources and equations: :mod:`normscan.models.normative_map`. Volumes are double precision tensors
(depth, channels, size, size); a covariance is a lower triangle (:mod:`.covariances`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import chi2
from torch import Tensor

from normscan.errors import NormscanError
from normscan.models.base import Batches
from normscan.models.parts.covariances import cholesky, diagonal, outer, size_of, whitened
from normscan.models.parts.pixels import in_brain
from normscan.models.parts.places import grid_depth, levels
from normscan.slices.batch import Batch

# Passes end when no variance changes by more than this share.
SETTLED = 0.05
# Least spread, in units of intensity: slices may be equal in all scans.
LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Estimates:
    """What was found.

    Attributes
    ----------
    mean, covariance : volumes with a channel for each contrast, and for each pair of them.
    scans : (depth, 1, size, size), in how many scans' brain the voxel lies.
    passes : that weighed values.
    change : the largest of any variance in the last of them, as the log of a ratio.
    """

    mean: Tensor
    covariance: Tensor
    scans: Tensor
    passes: int
    change: float


@dataclass(frozen=True)
class Sums:
    """Sums over scans at every voxel.

    Attributes
    ----------
    scans : (depth, 1, size, size), in how many scans' brain the voxel lies.
    weights, values : sums of w and of w x.
    products : sum of w^2 (x - mean)(x - mean)'.
    """

    scans: Tensor
    weights: Tensor
    values: Tensor
    products: Tensor


@dataclass(frozen=True)
class Voxelwise:
    """How to estimate; settings as of the family, ``contrasts`` and ``size`` of the slices."""

    contrasts: int
    size: int
    clip: float
    passes: int
    mean_smoothing: float
    spread_smoothing: float
    floor: float
    least_scans: int

    def estimate(self, batches: Batches, depth: int) -> Estimates:
        """Mean and covariance in a grid of ``depth`` slices."""
        sums = self._sums(batches, depth)
        mean = self._mean(sums)
        # Covariances are summed about a mean, so that two passes are the least.
        sums = self._sums(batches, depth, mean)
        covariance = self._covariance(sums, mean, 1.0)
        _, consistency = huber_constants(self.clip, self.contrasts)
        weigh_by = mean_over(covariance, sums.scans > 0).expand_as(covariance)
        passes, change = 0, 0.0
        while passes < self.passes:
            sums = self._sums(batches, depth, mean, cholesky(weigh_by, self.contrasts))
            mean = self._mean(sums)
            covariance = self._covariance(sums, mean, consistency)
            variances = diagonal(self.contrasts)
            ratio = (covariance[:, variances] / weigh_by[:, variances]).log().abs()
            change = float((ratio * (sums.scans > 0)).max())
            passes, weigh_by = passes + 1, covariance
            if change < SETTLED:
                break
        return Estimates(mean, covariance, sums.scans, passes, change)

    def _sums(
        self,
        batches: Batches,
        depth: int,
        mean: Tensor | None = None,
        factors: Tensor | None = None,
    ) -> Sums:
        """One pass; without a mean products are about 0, without factors all values count alike."""
        radius, _ = huber_constants(self.clip, self.contrasts)
        found: Sums | None = None
        for chosen, values, brain in _voxels(batches, depth):
            if found is None:
                channels = 1, 1, self.contrasts, size_of(self.contrasts)
                shapes = [(depth, one, self.size, self.size) for one in channels]
                found = Sums(*(values.new_zeros(shape) for shape in shapes))
            residuals = values if mean is None else values - mean[chosen]
            weights = brain
            if factors is not None:
                distances = whitened(residuals, factors[chosen]).square().sum(dim=1, keepdim=True)
                weights = brain * (radius / distances.sqrt()).clamp(max=1)
            # Slice after slice, so that how they are cut into batches changes nothing.
            found.scans.index_add_(0, chosen, brain)
            found.weights.index_add_(0, chosen, weights)
            found.values.index_add_(0, chosen, weights * values)
            found.products.index_add_(0, chosen, weights.square() * outer(residuals))
        assert found is not None  # A training set has slices.
        return found

    def _mean(self, sums: Sums) -> Tensor:
        """Smoothed; that of all voxels where nothing is near."""
        counts = _smooth(sums.weights, self.mean_smoothing)
        mean = _ratio(_smooth(sums.values, self.mean_smoothing), counts)
        return torch.where(counts > 0, mean, mean_over(mean, sums.scans))

    def _covariance(self, sums: Sums, mean: Tensor, consistency: float) -> Tensor:
        """Smoothed, wide where few scans are, and floored."""
        degrees = (sums.scans - 1).clamp(min=0)
        counts = _smooth(degrees, self.spread_smoothing) * consistency
        covariance = _ratio(_smooth(sums.products, self.spread_smoothing), counts)
        # Of all voxels: what each varies by, and what their means do.
        means = outer(mean - mean_over(mean, sums.scans))
        whole = mean_over(covariance, degrees) + mean_over(means, sums.scans)
        covariance = torch.where(sums.scans < self.least_scans, whole, covariance)
        covariance = covariance + self.floor**2 * whole
        covariance[:, diagonal(self.contrasts)] += LEAST_SPREAD**2
        return covariance


def huber_constants(clip: float, contrasts: int) -> tuple[float, float]:
    """Distance from which values count less, and by what their covariance is too small.

    Parameters
    ----------
    clip : standard deviations of one contrast.

    Returns
    -------
    radius, consistency : the distance that the same share of normal data exceeds in ``contrasts``
        dimensions; the mean of w^2 d^2 over ``contrasts`` for normal data.
    """
    square = float(chi2.isf(chi2.sf(clip**2, 1), contrasts))
    left_alone = contrasts * chi2.cdf(square, contrasts + 2)
    clipped = square * chi2.sf(square, contrasts)
    return square**0.5, float(left_alone + clipped) / contrasts


def grid_and_scans(batches: Batches) -> tuple[int, int]:
    """Slices of the grid, and scans: the most slices that there are of one place.

    Raises
    ------
    NormscanError : slices have no positions, or such of no grid.
    """
    places: Tensor | None = None
    counts: Tensor | None = None
    for batch in batches():
        own = _positions(batch)
        ones = torch.ones_like(own, dtype=torch.int64)
        places = own if places is None else torch.cat([places, own])
        counts = ones if counts is None else torch.cat([counts, ones])
        # What is kept are places, not slices.
        places, where = places.unique(return_inverse=True)
        counts = torch.zeros_like(places, dtype=torch.int64).index_add_(0, where, counts)
    assert places is not None and counts is not None  # A training set has slices.
    return grid_depth(places), int(counts.max())


def mean_over(volumes: Tensor, weights: Tensor) -> Tensor:
    """Weighted means (1, channels, 1, 1) over voxels; weights have one channel."""
    weights = weights.to(volumes)
    total = (volumes * weights).sum(dim=(0, 2, 3), keepdim=True)
    return total / weights.sum().clamp(min=1)


def _positions(batch: Batch[Tensor]) -> Tensor:
    if batch.position is None:
        raise NormscanError(
            "slices without positions: what is normal at a place cannot be learned without them"
        )
    return batch.position


def _voxels(batches: Batches, depth: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Numbers of slices (n,), values (n, contrasts, ...) and brain (n, 1, ...) as double."""
    for batch in batches():
        brain = in_brain(batch)[:, None].double()
        yield levels(_positions(batch), depth), batch.slices.double() * brain, brain


def _smooth(volumes: Tensor, sigma: float) -> Tensor:
    """Smoothed along all three axes; outside of the grid is 0."""
    if not sigma:
        return volumes
    found = gaussian_filter(volumes.cpu().numpy(), (sigma, 0, sigma, sigma), mode="constant")
    return torch.from_numpy(found).to(volumes)


def _ratio(sums: Tensor, counts: Tensor) -> Tensor:
    """0 where the count is."""
    return torch.where(counts > 0, sums / counts, 0.0)
