"""Autoencoder. Source: Baur et al. 2021, II-A Eq. 1 and III-B.

L1 error. ``bottleneck: spatial`` is the study's AE (spatial). With ``dropout`` above 0 the code
loses entries at random, in training and, for a Bayesian AE, when reconstructions are sampled
(section II-B, Monte Carlo methods).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from normscan.errors import ConfigError
from normscan.models.coding import CodingModel, absolute_errors, build_model

CAPABILITIES = {"reconstruct", "sample"}
# Without dropout there is nothing random to sample.
CONDITIONS = {"sample": "dropout"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": 0.0,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}


class Model(CodingModel):
    """Encoder, dropout on the code, decoder."""

    def __init__(self, contrasts: int, size: int, *, dropout: float = 0.0, **settings: Any):
        super().__init__(contrasts, size, **settings)
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout: found {dropout}; must be at least 0 and below 1")
        self.dropout = dropout

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        code = functional.dropout(self.encode(batch), self.dropout, self.training)
        error = absolute_errors(batch, self.decoder(code)).mean()
        return {"loss": error, "reconstruction": error / batch[0].numel()}

    def encode(self, slices: Tensor) -> Tensor:
        """Code (n, latent), or (n, latent, h, w) of a spatial bottleneck."""
        return self.encoder(slices)[0]

    def decode_sample(self, code: Tensor, generator: torch.Generator) -> Tensor:
        """Decode with entries of the code dropped at random.

        Raises
        ------
        ConfigError : the model has no dropout, so that all samples would be the same.
        """
        if not self.dropout:
            raise ConfigError(
                "dropout: is 0, so that sampled reconstructions would all be equal; train this "
                "model with dropout (0.2 in Baur et al. 2021) to use it with this detector"
            )
        kept = torch.rand(code.shape, generator=generator, device=code.device) >= self.dropout
        return self.decoder(code * kept / (1 - self.dropout))


def build(contrasts: int, size: int, seed: int = 0, **settings: Any) -> Model:
    """An AE with weights that follow from ``seed``; settings as in ``SETTINGS``."""
    return build_model(Model, SETTINGS, contrasts, size, seed, settings)
