"""Variational autoencoder on the unified network. Source: Baur et al. 2021, II-A, III-B, Table II.

The loss is the negative evidence lower bound with an L1 likelihood: absolute errors summed over a
slice's pixels plus ``kl_weight`` times the divergence summed over the code's dimensions, averaged
over slices. The paper gives the weight (1.0), not the reductions; sums over both are what makes the
weight of 1 a bound.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.errors import ConfigError
from normscan.models.base import NeuralModel, adam
from normscan.models.gaussian import draw, kl_to_standard
from normscan.networks.devices import seeded
from normscan.networks.unified import UnifiedDecoder, UnifiedEncoder

CAPABILITIES = {"reconstruct", "elbo", "sample"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "kl_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}


class Model(NeuralModel):
    """Encoder to mean and log variance of a code, decoder."""

    def __init__(
        self,
        contrasts: int,
        size: int,
        *,
        bottleneck: str = "dense",
        latent: int = 128,
        kl_weight: float = 1.0,
        learning_rate: float = 1e-4,
    ):
        super().__init__(contrasts, size)
        self.kl_weight, self.learning_rate = kl_weight, learning_rate
        self.encoder = UnifiedEncoder(contrasts, size, latent, bottleneck, codes=2)
        self.decoder = UnifiedDecoder(contrasts, size, latent, bottleneck)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.parameters(), self.learning_rate)}

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        mean, log_variance = self.encode(batch)
        error = (batch - self.decoder(draw(mean, log_variance))).abs().flatten(1)
        divergence = kl_to_standard(mean, log_variance).mean()
        return {
            "loss": error.sum(dim=1).mean() + self.kl_weight * divergence,
            "reconstruction": error.mean(),
            "kl": divergence,
        }

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Decode the mean of the code."""
        return self.decoder(self.encode(slices)[0])

    def encode(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the code, each (n, latent) or (n, latent, 8, 8)."""
        mean, log_variance = self.encoder(slices)
        return mean, log_variance

    def decode_sample(self, code: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """Decode a code drawn from the posterior."""
        return self.decoder(draw(*code, generator))

    def elbo_loss(self, slices: Tensor) -> Tensor:
        """Absolute errors summed over pixels plus the weighted divergence, of each slice (n,).

        The mean of the code is decoded, so that the value is deterministic and depends on the
        slices through input and target alike (Baur et al. 2021, Eq. 4; You et al. 2019).
        """
        mean, log_variance = self.encode(slices)
        error = (slices - self.decoder(mean)).abs().flatten(1).sum(dim=1)
        return error + self.kl_weight * kl_to_standard(mean, log_variance)


def build(contrasts: int, size: int, seed: int = 0, **settings: Any) -> Model:
    """A VAE with weights that follow from ``seed``; settings as in ``SETTINGS``."""
    chosen = {**SETTINGS, **settings}
    if chosen["network"] != "unified":
        raise ConfigError(f"network: found '{chosen['network']}'; allowed: unified")
    names = ("bottleneck", "latent", "kl_weight", "learning_rate")
    with seeded(seed):
        return Model(contrasts, size, **{name: chosen[name] for name in names})
