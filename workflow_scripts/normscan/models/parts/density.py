"""Gaussian mixture of pixel features that is learned together with them.

Source: Kim et al. 2021, section 2.2 (density estimation model) and supplement I-C: a small network
says how likely each feature vector belongs to each component; weights, means and covariances follow
from that for every batch; the energy of a vector is its negative log likelihood. The eigenvalues of
covariances are bounded below. Zong et al. 2018 (DAGMM), section 3.4, have no bound, but a penalty
on small diagonal entries.

All sums are in double precision: a covariance is the difference of moments, and of eigenvalues near
the bound single precision would leave nothing. They are matrix products of (n, components *
features) by (n, features); the (n, components, features, features) outer products are never made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from normscan.errors import ConfigError, TrainingError
from normscan.slices.batch import Batch

BOUNDS = ("eigenvalue", "none", "penalty")
# A component that no pixel belongs to has this weight instead of 0, whose logarithm has no slope.
LEAST_WEIGHT = 1e-30


class Mixture(NamedTuple):
    """A Gaussian mixture, float64: weights (k,), means (k, d) and covariances (k, d, d)."""

    weights: Tensor
    means: Tensor
    covariances: Tensor


@dataclass(frozen=True)
class Moments:
    """Sums over feature vectors, from which a mixture follows; those of parts add up.

    Attributes
    ----------
    weights : sums of responsibilities (k,), float64.
    first : sums of responsibilities times vectors (k, d).
    second : sums of responsibilities times outer products of vectors (k, d, d).
    """

    weights: Tensor
    first: Tensor
    second: Tensor

    @classmethod
    def of(cls, features: Tensor, responsibilities: Tensor) -> Moments:
        """Sums over feature vectors (n, d) with their responsibilities (n, k)."""
        z, r = features.double(), responsibilities.double()
        count, length = r.shape[1], z.shape[1]
        weighted = (r.unsqueeze(2) * z.unsqueeze(1)).flatten(1)
        second = (weighted.T @ z).view(count, length, length)
        return cls(r.sum(dim=0), r.T @ z, second)

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.weights + other.weights, self.first + other.first, self.second + other.second
        )

    def mixture(self) -> Mixture:
        """The mixture of all vectors that were summed, its covariances as they are."""
        weights = self.weights.clamp_min(LEAST_WEIGHT)
        means = self.first / weights[:, None]
        second = self.second / weights[:, None, None]
        covariances = second - means.unsqueeze(2) * means.unsqueeze(1)
        # A sum over rows need not be symmetric to the last bit.
        return Mixture(
            weights / weights.sum(), means, (covariances + covariances.transpose(1, 2)) / 2
        )


class DensityEstimator(nn.Module):
    """A network for responsibilities, and the mixture that was fitted at the end of a training.

    Parameters
    ----------
    features : length of a feature vector.
    components : of the mixture.
    hidden : width of the network's hidden layer.
    dropout : share of the hidden layer that is dropped in training.
    bound : ``eigenvalue``: eigenvalues of covariances are at least ``epsilon``; ``none`` and
        ``penalty``: they are as they are, and a singular covariance is an error. The penalty itself
        (:func:`penalty`) is a loss, which the caller adds.
    epsilon : in squared units of the features.

    Raises
    ------
    ConfigError : another word for ``bound``.
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(
        self,
        features: int,
        components: int = 6,
        hidden: int = 8,
        dropout: float = 0.5,
        bound: str = "eigenvalue",
        epsilon: float = 1e-6,
    ):
        super().__init__()
        if bound not in BOUNDS:
            raise ConfigError(f"bound: found '{bound}'; must be one of {', '.join(BOUNDS)}")
        self.bound, self.epsilon = bound, epsilon
        self.network = nn.Sequential(
            nn.Linear(features, hidden),
            nn.Tanh(),
            nn.Dropout(dropout),
            nn.Linear(hidden, components),
        )
        kind: dict[str, Any] = {"dtype": torch.float64}
        self.register_buffer("weights", torch.full((components,), 1 / components, **kind))
        self.register_buffer("means", torch.zeros(components, features, **kind))
        self.register_buffer("covariances", torch.eye(features, **kind).repeat(components, 1, 1))

    def responsibilities(self, features: Tensor) -> Tensor:
        """How likely feature vectors (n, d) belong to each component (n, k), float32."""
        return self.network(features).float().softmax(dim=1)

    def estimate(self, features: Tensor, responsibilities: Tensor) -> Mixture:
        """The mixture of feature vectors (n, d), differentiable in both arguments.

        Raises
        ------
        TrainingError : a covariance is singular, where nothing bounds it, or not finite.
        """
        return self.bounded(Moments.of(features, responsibilities).mixture())

    def bounded(self, mixture: Mixture) -> Mixture:
        """A mixture whose covariances have inverses.

        Raises
        ------
        TrainingError : a covariance is singular, where nothing bounds it, or not finite.
        """
        _insist_on_finite(mixture)
        if self.bound == "eigenvalue":
            return mixture._replace(covariances=bound_below(mixture.covariances, self.epsilon))
        _insist_on_regular(mixture)
        return mixture

    @torch.no_grad()
    def fit(self, moments: Moments) -> None:
        """Keep the mixture of all vectors that were summed, for test.

        Raises
        ------
        TrainingError : as :meth:`bounded`.
        """
        for name, value in self.bounded(moments.mixture())._asdict().items():
            getattr(self, name).copy_(value)

    @property
    def mixture(self) -> Mixture:
        """The fitted mixture."""
        return Mixture(self.weights, self.means, self.covariances)


def energy(features: Tensor, mixture: Mixture) -> Tensor:
    """Negative log likelihood of feature vectors (n, d): (n,), float64, of either sign.

    Source: Kim et al. 2021, section 2.2, E_n, without leaving logarithms.
    """
    factors, inverse = _factors(mixture)
    count, length = mixture.means.shape
    # L^-1 (z - mean) for all components at once: z by one matrix, less L^-1 mean.
    moved = features.double() @ inverse.flatten(0, 1).T
    means = (inverse @ mixture.means.unsqueeze(2)).flatten()
    distances = (moved - means).square().view(-1, count, length).sum(dim=2)
    return -torch.logsumexp(_peaks(mixture.weights, factors) - distances / 2, dim=1)


def offset(mixture: Mixture) -> Tensor:
    """A lower bound of all energies, a scalar: that of a vector that is every mean at once.

    Maps are not negative; energies less this are not either.
    """
    return -torch.logsumexp(_peaks(mixture.weights, _factors(mixture)[0]), dim=0)


def penalty(mixture: Mixture) -> Tensor:
    """Sum of the inverse diagonal entries of all covariances, a scalar.

    Source: Zong et al. 2018, section 3.4, P; Kim et al. 2021, section 2.7, L_p.
    """
    return mixture.covariances.diagonal(dim1=1, dim2=2).reciprocal().sum()


def smallest_eigenvalue(mixture: Mixture) -> Tensor:
    """The smallest eigenvalue of all covariances, a scalar without gradient."""
    return torch.linalg.eigvalsh(mixture.covariances.detach()).min()


def evenly_chosen(batches: Iterable[Batch[Tensor]], share: float) -> Iterator[Tensor]:
    """A share (0 to 1) of all slices, evenly spread and never none: parts (n, channels, h, w)."""
    seen = 0
    for batch in batches:
        numbers = torch.arange(seen, seen + len(batch), dtype=torch.float64)
        chosen = (numbers * share).floor() > ((numbers - 1) * share).floor()
        seen += len(batch)
        if chosen.any():
            yield batch.slices[chosen.to(batch.slices.device)]


def bound_below(matrices: Tensor, least: float) -> Tensor:
    """Symmetric matrices (..., d, d) with eigenvalues below ``least`` raised to it.

    Source: Kim et al. 2021, section 2.2, ReLU(L - e) + e. The gradient is that of the function of
    the matrix (Daleckii and Krein), which is finite where eigenvalues are equal; that of single
    eigenvectors, which automatic differentiation would go through, is not.
    """
    return _BoundBelow.apply(matrices, least)


class _BoundBelow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrices: Tensor, least: float) -> Tensor:
        values, vectors = torch.linalg.eigh(matrices)
        raised = values.clamp_min(least)
        ctx.save_for_backward(values, raised, vectors)
        ctx.least = least
        # What needs no bound keeps its bits.
        changed = (vectors * raised.unsqueeze(-2)) @ vectors.mT
        fine = (values[..., 0] >= least)[..., None, None]
        return torch.where(fine, matrices, (changed + changed.mT) / 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        values, raised, vectors = ctx.saved_tensors
        steps = values.unsqueeze(-1) - values.unsqueeze(-2)
        rises = raised.unsqueeze(-1) - raised.unsqueeze(-2)
        # Both on one side of the bound: the slope there, also where they are equal.
        free = (values > ctx.least).to(values)
        slopes = (free.unsqueeze(-1) + free.unsqueeze(-2)) / 2
        mixed = slopes == 0.5
        slopes = torch.where(mixed, rises / torch.where(mixed, steps, 1), slopes)
        inner = vectors.mT @ ((gradients[0] + gradients[0].mT) / 2) @ vectors
        return vectors @ (slopes * inner) @ vectors.mT, None


def _factors(mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Cholesky factors L of covariances, and their inverses (k, d, d)."""
    factors = torch.linalg.cholesky(mixture.covariances)
    one = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
    return factors, torch.linalg.solve_triangular(factors, one.expand_as(factors), upper=False)


def _peaks(weights: Tensor, factors: Tensor) -> Tensor:
    """Logarithm of each component's weighted density at its mean (k,)."""
    length = factors.shape[-1]
    half_log_det = factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return weights.clamp_min(LEAST_WEIGHT).log() - half_log_det - length / 2 * math.log(2 * math.pi)


def _insist_on_finite(mixture: Mixture) -> None:
    bad = ~mixture.covariances.isfinite().flatten(1).all(dim=1)
    if bad.any():
        component = int(bad.nonzero()[0, 0])
        raise TrainingError(
            f"density estimation: the covariance of component {component + 1} of {len(bad)} is not "
            "finite: the features are not; lower 'learning_rate'"
        )


def _insist_on_regular(mixture: Mixture) -> None:
    """Refuse covariances that single precision, the features', cannot tell from singular ones."""
    values = torch.linalg.eigvalsh(mixture.covariances.detach())
    least = values[:, -1] * values.shape[1] * torch.finfo(torch.float32).eps
    bad = values[:, 0] <= least
    if bad.any():
        component = int(bad.nonzero()[0, 0])
        found = ", ".join(f"{value:.2g}" for value in values[component].tolist())
        raise TrainingError(
            f"density estimation: the covariance of component {component + 1} of {len(values)} "
            f"became singular (eigenvalues {found}): its features lie in fewer dimensions than "
            "they have; set 'bound: eigenvalue' of the model, which keeps eigenvalues above 0"
        )
