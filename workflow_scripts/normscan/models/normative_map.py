"""Normative map: mean and spread of healthy scans at every voxel of the atlas.

Source: voxelwise comparison with a group of healthy people, as in statistical parametric mapping
(Friston et al. 1994); robust estimates by Maronna 1976 and Huber 1981. What neither gives is
assumed and marked so.

In atlas space a voxel is the same place of all brains. Of the intensities x of its contrasts there
(m in number) the map holds mean and covariance, jointly the M-estimates with Huber's weights

    d(x) = sqrt((x - mean)' covariance^-1 (x - mean))     w = min(1, c / d)
    mean = sum w x / sum w
    covariance = sum w^2 (x - mean)(x - mean)' / (kappa (n - 1))

over the n scans in whose brain the voxel lies, so that lesions that "healthy" people have count
little. ``c`` leaves as large a share of normal data alone as ``clip`` standard deviations do for
one contrast, and ``kappa`` makes the covariance that of the data where these are normal. Solved by
passes over the slices, from the plain mean and the mean of all voxels' plain covariances, which
outliers at one voxel have not widened; what is held does not grow with the number of scans.

Then, for few scans and imperfect registration (assumed): sums are smoothed along all three axes by
Gaussians before they are divided by the equally smoothed numbers of scans; the square of ``floor``
times the covariance of all healthy brain voxels is added to that of each, so that no spread is
below that share; where fewer than ``least_scans`` scans have brain, the spread is that of all
healthy brain voxels, and where none has, the mean as well.

    z = (x - mean) / spread, of each contrast      distance = d(x)
    surprise = d^2 / 2 + log det(covariance) / 2   -log p, but for a constant: it starts at 0
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import chi2
from torch import Tensor

from normscan.errors import NormscanError, TrainingError
from normscan.models.base import BaseModel, Batches
from normscan.models.parts.covariances import cholesky, diagonal, outer, size_of, whitened
from normscan.models.parts.pixels import in_brain
from normscan.models.parts.places import grid_depth, levels
from normscan.networks.foreground import inside
from normscan.slices.batch import Batch, SliceShape

TITLE = "normative map"
CITE = {
    "friston1994": "Friston KJ, Holmes AP, Worsley KJ, Poline JB, Frith CD, Frackowiak RSJ. "
    "Statistical parametric maps in functional imaging: a general linear approach. Human Brain "
    "Mapping 2(4):189–210, 1994. https://doi.org/10.1002/hbm.460020402",
    "maronna1976": "Maronna RA. Robust M-estimators of multivariate location and scatter. Annals "
    "of Statistics 4(1):51–67, 1976. https://doi.org/10.1214/aos/1176343347",
}
LOOK = "density"
COST = 0.2
CAPABILITIES = {"deviate"}
LAYERS = {"brain"}
# clip: standard deviations beyond which a value counts less.
# passes: most of them over the slices that weigh values; 0: all count alike.
# mean_smoothing, spread_smoothing: standard deviations of Gaussians, in pixels and slices.
# floor: share of the spread of all brain voxels that no voxel's spread is below.
# least_scans: fewer are refused; where fewer have brain, the spread is that of all voxels.
SETTINGS = {
    "clip": 1.5,
    "passes": 10,
    "mean_smoothing": 0.5,
    "spread_smoothing": 1.5,
    "floor": 0.2,
    "least_scans": 5,
    "batch_size": 64,
}
ALLOWED = {
    "clip": "1..10",
    "passes": "0..",
    "mean_smoothing": "0..",
    "spread_smoothing": "0..",
    "floor": "0..1",
    "least_scans": "2..",
    "batch_size": "1..",
}
CHECKED_WITH = {"least_scans": 4}
# Passes end when no variance changes by more than this share.
SETTLED = 0.05
# Least spread, in units of intensity: slices may be equal in all scans.
LEAST_SPREAD = 1e-3


@dataclass(frozen=True)
class Sums:
    """Sums over scans at every voxel, in double precision.

    Attributes
    ----------
    scans : (depth, 1, size, size), in whose brain the voxel lies.
    weights, values : (depth, 1 or contrasts, size, size), sums of w and of w x.
    products : (depth, channels, size, size), sum of w^2 (x - mean)(x - mean)'.
    """

    scans: Tensor
    weights: Tensor
    values: Tensor
    products: Tensor


class Model(BaseModel):
    """Mean, covariance (lower triangles) and the least half log determinant of the latter.

    Before it is fitted: mean 0 and spread 1 in a grid of two slices.
    """

    phases = ("fit",)
    FITTED = frozenset({"mean", "covariance"})
    mean: Tensor
    covariance: Tensor
    least: Tensor

    def __init__(
        self,
        shape: SliceShape,
        *,
        clip: float = 1.5,
        passes: int = 10,
        mean_smoothing: float = 0.5,
        spread_smoothing: float = 1.5,
        floor: float = 0.2,
        least_scans: int = 5,
        **settings: Any,
    ):
        super().__init__(shape, **settings)
        self.passes, self.least_scans = passes, least_scans
        self.mean_smoothing, self.spread_smoothing = mean_smoothing, spread_smoothing
        self.floor = floor
        self.radius, self.consistency = huber_constants(clip, shape.inputs)
        count, size = shape.inputs, shape.size
        unit = torch.zeros(2, size_of(count), size, size)
        unit[:, diagonal(count)] = 1
        self.register_buffer("mean", torch.zeros(2, count, size, size))
        self.register_buffer("covariance", unit)
        self.register_buffer("least", torch.zeros(()))

    def limits(self, phase: str) -> dict[str, int]:
        return {"max_epochs": 0}

    def finish_phase(self, phase: str, batches: Batches) -> dict[str, float] | None:
        """Fit.

        Returns
        -------
        ``scans`` it was fitted on; ``voxels`` in whose place any has brain, and the share ``rare``
        where fewer than ``least_scans`` have; ``spread``: root mean square over voxels and
        contrasts; ``passes`` that weighed values, and the largest ``change`` of a variance in the
        last one (1: by a factor of e).

        Raises
        ------
        TrainingError : fewer than ``least_scans`` scans.
        """
        depth, scans = _grid(batches)
        if scans < self.least_scans:
            raise TrainingError(
                f"a normative map of {scans} scan(s): it needs at least {self.least_scans}, since "
                "the spread is estimated at every voxel; train on more scans, or set the model's "
                "least_scans"
            )
        mean, covariance, counts, passes, change = self._solve(batches, depth)
        self.mean, self.covariance = mean.float(), covariance.float()
        self.least = _half_log_determinant(self._factors(self.covariance)).min()
        seen = counts > 0
        variances = self._variances(covariance)
        return {
            "scans": float(scans),
            "voxels": float(seen.sum()),
            "rare": float((seen & (counts < self.least_scans)).sum() / seen.sum()),
            "spread": float(_mean_over(variances, seen).mean().sqrt()),
            "passes": float(passes),
            "change": change,
        }

    def expected_at(self, slices: Tensor, positions: Tensor) -> Tensor:
        """The mean at the slices' places; background stays 0."""
        return self.mean[self._levels(positions)] * inside(slices)[:, None]

    def deviations_at(self, slices: Tensor, positions: Tensor) -> Tensor:
        """z-scores of each contrast (n, contrasts, size, size)."""
        chosen = self._levels(positions)
        spread = self._variances(self.covariance[chosen]).sqrt()
        return (slices - self.mean[chosen]) / spread

    def distances_at(self, slices: Tensor, positions: Tensor) -> Tensor:
        """Mahalanobis distances (n, size, size)."""
        return self._judged(slices, positions)[0].sqrt()

    def surprise_at(self, slices: Tensor, positions: Tensor) -> Tensor:
        """-log p (n, size, size), above the least that it can be at any voxel."""
        squares, factors = self._judged(slices, positions)
        # Below 0 by rounding only.
        return (squares / 2 + _half_log_determinant(factors) - self.least).clamp(min=0)

    def _judged(self, slices: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distances (n, size, size) and Cholesky factors at the slices' places."""
        chosen = self._levels(positions)
        factors = self._factors(self.covariance[chosen])
        return whitened(slices - self.mean[chosen], factors).square().sum(dim=1), factors

    def _levels(self, positions: Tensor) -> Tensor:
        return levels(positions, len(self.mean))

    def _factors(self, covariances: Tensor) -> Tensor:
        return cholesky(covariances, self.shape.inputs)

    def _variances(self, covariances: Tensor) -> Tensor:
        return covariances[:, diagonal(self.shape.inputs)]

    def _solve(self, batches: Batches, depth: int) -> tuple[Tensor, Tensor, Tensor, int, float]:
        """Mean, covariance, scans at every voxel, passes that weighed values, last change."""
        sums = self._sums(batches, depth)
        mean = self._mean(sums)
        # Covariances are summed about a mean, so that two passes are the least.
        sums = self._sums(batches, depth, mean)
        covariance = self._covariance(sums, mean, 1.0)
        weigh_by = _mean_over(covariance, sums.scans > 0).expand_as(covariance)
        passes, change = 0, 0.0
        while passes < self.passes:
            sums = self._sums(batches, depth, mean, self._factors(weigh_by))
            mean = self._mean(sums)
            covariance = self._covariance(sums, mean, self.consistency)
            ratio = (self._variances(covariance) / self._variances(weigh_by)).log().abs()
            change = float((ratio * (sums.scans > 0)).max())
            passes, weigh_by = passes + 1, covariance
            if change < SETTLED:
                break
        return mean, covariance, sums.scans, passes, change

    def _sums(
        self,
        batches: Batches,
        depth: int,
        mean: Tensor | None = None,
        factors: Tensor | None = None,
    ) -> Sums:
        """One pass; without a mean products are about 0, without factors all values count alike."""
        size = self.shape.size
        found: Sums | None = None
        for chosen, values, brain in _voxels(batches, depth):
            if found is None:
                found = Sums(
                    *(
                        values.new_zeros(depth, channels, size, size)
                        for channels in (1, 1, self.shape.inputs, size_of(self.shape.inputs))
                    )
                )
            residuals = values if mean is None else values - mean[chosen]
            weights = brain
            if factors is not None:
                distances = whitened(residuals, factors[chosen]).square().sum(dim=1, keepdim=True)
                weights = brain * (self.radius / distances.sqrt()).clamp(max=1)
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
        return torch.where(counts > 0, mean, _mean_over(mean, sums.scans))

    def _covariance(self, sums: Sums, mean: Tensor, consistency: float) -> Tensor:
        """Smoothed, wide where few scans are, and floored."""
        degrees = (sums.scans - 1).clamp(min=0)
        counts = _smooth(degrees, self.spread_smoothing) * consistency
        covariance = _ratio(_smooth(sums.products, self.spread_smoothing), counts)
        # Of all voxels: what each varies by, and what their means do.
        means = outer(mean - _mean_over(mean, sums.scans))
        whole = _mean_over(covariance, degrees) + _mean_over(means, sums.scans)
        covariance = torch.where(sums.scans < self.least_scans, whole, covariance)
        covariance = covariance + self.floor**2 * whole
        covariance[:, diagonal(self.shape.inputs)] += LEAST_SPREAD**2
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


def _positions(batch: Batch[Tensor]) -> Tensor:
    if batch.position is None:
        raise NormscanError(
            "slices without positions: a normative map needs to know where in the grid they lie"
        )
    return batch.position


def _grid(batches: Batches) -> tuple[int, int]:
    """Slices of the grid, and scans: the most slices that there are of one place."""
    places: Tensor | None = None
    counts: Tensor | None = None
    for batch in batches():
        own = _positions(batch)
        ones = torch.ones_like(own, dtype=torch.int64)
        places = own if places is None else torch.cat([places, own])
        counts = ones if counts is None else torch.cat([counts, ones])
        places, where = places.unique(return_inverse=True)
        counts = torch.zeros(len(places), dtype=torch.int64, device=own.device).index_add_(
            0, where, counts
        )
    assert places is not None and counts is not None  # A training set has slices.
    return grid_depth(places), int(counts.max())


def _voxels(batches: Batches, depth: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Numbers of slices (n,), values (n, contrasts, ...) and brain (n, 1, ...) as double."""
    for batch in batches():
        brain = in_brain(batch)[:, None].double()
        yield levels(_positions(batch), depth), batch.slices.double() * brain, brain


def _smooth(volumes: Tensor, sigma: float) -> Tensor:
    """Volumes (depth, channels, size, size) smoothed; outside of the grid is 0."""
    if not sigma:
        return volumes
    found = gaussian_filter(volumes.cpu().numpy(), (sigma, 0, sigma, sigma), mode="constant")
    return torch.from_numpy(found).to(volumes)


def _ratio(sums: Tensor, counts: Tensor) -> Tensor:
    """0 where the count is."""
    return torch.where(counts > 0, sums / counts, 0.0)


def _mean_over(volumes: Tensor, weights: Tensor) -> Tensor:
    """Weighted means (1, channels, 1, 1) over the voxels of each channel."""
    weights = weights.to(volumes)
    total = (volumes * weights).sum(dim=(0, 2, 3), keepdim=True)
    return total / weights.sum().clamp(min=1)


def _half_log_determinant(factors: Tensor) -> Tensor:
    """Half the log determinant (n, size, size) of the covariances with these Cholesky factors."""
    contrasts = int((2 * factors.shape[1]) ** 0.5)
    return factors[:, diagonal(contrasts)].log().sum(dim=1)
