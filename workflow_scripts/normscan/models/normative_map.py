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

from typing import Any

import torch
from torch import Tensor

from normscan.errors import TrainingError
from normscan.models.base import BaseModel, Batches
from normscan.models.parts.covariances import cholesky, diagonal, size_of, whitened
from normscan.models.parts.places import levels
from normscan.models.parts.voxelwise import Voxelwise, grid_and_scans, mean_over
from normscan.networks.foreground import inside
from normscan.slices.batch import SliceShape

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
MEANING = {
    "clip": "values beyond this count less [standard deviations]",
    "passes": "most of them over the slices that weigh values; 0: all count alike",
    "mean_smoothing": "standard deviation of the Gaussian that means are smoothed with [pixels, "
    "slices]",
    "spread_smoothing": "standard deviation of the Gaussian that covariances are smoothed with "
    "[pixels, slices]",
    "floor": "no voxel's spread is below this share of that of all brain voxels",
    "least_scans": "fewer are refused; where fewer have brain, the spread is that of all voxels "
    "[scans]",
}
CHECKED_WITH = {"least_scans": 4}


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
        self.solver = Voxelwise(
            shape.inputs,
            shape.size,
            clip=clip,
            passes=passes,
            mean_smoothing=mean_smoothing,
            spread_smoothing=spread_smoothing,
            floor=floor,
            least_scans=least_scans,
        )
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
        depth, scans = grid_and_scans(batches)
        least = self.solver.least_scans
        if scans < least:
            raise TrainingError(
                f"a normative map of {scans} scan(s): it needs at least {least}, since the spread "
                "is estimated at every voxel; train on more scans, or set the model's least_scans"
            )
        found = self.solver.estimate(batches, depth)
        self.mean, self.covariance = found.mean.float(), found.covariance.float()
        self.least = self._half_log_determinant(self._factors(self.covariance)).min()
        seen = found.scans > 0
        return {
            "scans": float(scans),
            "voxels": float(seen.sum()),
            "rare": float((seen & (found.scans < least)).sum() / seen.sum()),
            "spread": float(mean_over(self._variances(found.covariance), seen).mean().sqrt()),
            "passes": float(found.passes),
            "change": found.change,
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
        return (squares / 2 + self._half_log_determinant(factors) - self.least).clamp(min=0)

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

    def _half_log_determinant(self, factors: Tensor) -> Tensor:
        """Of the covariances with these Cholesky factors (n, size, size)."""
        return factors[:, diagonal(self.shape.inputs)].log().sum(dim=1)
