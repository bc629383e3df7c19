"""Variational autoencoder. Source: Baur et al. 2021, II-A, III-B, Table II.

The loss is the negative evidence lower bound with an L1 likelihood: absolute errors summed over a
slice's pixels plus ``kl_weight`` times the divergence summed over the code's dimensions, averaged
over slices. The paper gives the weight (1.0), not the reductions; sums over both are what makes the
weight of 1 a bound. ``likelihood: gaussian`` is that of You et al. 2019, whose standard deviation
the decoder predicts (:mod:`normscan.models.parts.likelihood`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.models.parts.gaussian import draw, kl_to_standard
from normscan.models.parts.likelihood import LikelihoodModel
from normscan.slices.batch import Batch, SliceShape

TITLE = "variational autoencoder"
CITE = ["kingma2014"]
LOOK = "variational"
CAPABILITIES = {"reconstruct", "elbo", "sample", "embed"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "likelihood": "l1",
    "kl_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "dropout": "0..<1",
    "likelihood": ["l1", "gaussian"],
    "kl_weight": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}


class Model(LikelihoodModel):
    """Encoder to mean and log variance of a code, decoder."""

    codes = 2

    def __init__(self, shape: SliceShape, *, kl_weight: float = 1.0, **settings: Any):
        super().__init__(shape, **settings)
        self.kl_weight = kl_weight

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        mean, log_variance = self.encode(batch.slices)
        surprise, errors = self.negative_log(batch.targets, draw(mean, log_variance))
        divergence = kl_to_standard(mean, log_variance).mean()
        return {
            "loss": surprise.mean() + self.kl_weight * divergence,
            **self.fits(surprise, errors, batch),
            "kl": divergence,
        }

    def encode(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the code, each (n, latent) or (n, latent, h, w)."""
        mean, log_variance = self.encoder(slices)
        return mean, log_variance

    def decode_sample(self, code: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """Decode a code drawn from the posterior."""
        return self.expected(draw(*code, generator))

    def elbo_parts(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """The decoded mean of the code, and the weighted divergence of each slice (n,).

        The mean is decoded, so that the bound is deterministic and depends on the slices through
        input and target alike (Baur et al. 2021, Eq. 4; You et al. 2019).
        """
        mean, log_variance = self.encode(slices)
        return self.expected(mean), self.kl_weight * kl_to_standard(mean, log_variance)
