"""Autoencoder. Source: Baur et al. 2021, II-A Eq. 1 and III-B.

L1 error. ``bottleneck: spatial`` is the study's AE (spatial). A Bayesian AE is this model with the
dropout of its dense bottleneck active when it is applied (section II-B, Monte Carlo methods).
"""

from __future__ import annotations

import torch
from torch import Tensor

from normscan.errors import ConfigError
from normscan.models.parts.coding import CodingModel, absolute_errors
from normscan.networks.registry import check_rate
from normscan.slices.batch import Batch

TITLE = "autoencoder"
CITE = ["baur2018"]
LOOK = "autoencoder"
CAPABILITIES = {"reconstruct", "sample", "drop", "embed"}
PARTS = {"encoder", "decoder"}
# Without dropout in the bottleneck there is nothing random to sample.
BY_DROPOUT = {"sample", "drop"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "dropout": "0..<1",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}


class Model(CodingModel):
    """Encoder and decoder."""

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        error = absolute_errors(batch.targets, self.reconstruct(batch.slices)).mean()
        return {"loss": error, "reconstruction": error / batch.targets[0].numel()}

    def encode(self, slices: Tensor) -> Tensor:
        """Code (n, latent), or (n, latent, h, w) of a spatial bottleneck."""
        return self.encoder(slices)[0]

    def decode_sample(
        self, code: Tensor, generator: torch.Generator, dropout: float | None = None
    ) -> Tensor:
        """Decode with entries of the code dropped at random, the others scaled to keep the mean.

        Parameters
        ----------
        dropout : rate; None: as in training. At 0 it is the deterministic reconstruction.

        Raises
        ------
        ConfigError : the bottleneck has no dropout, or the rate is none.
        """
        if not self.dropout:
            raise ConfigError(
                "dropout: the bottleneck of this model has none, so that sampled reconstructions "
                "would all be equal; train it with a bottleneck that has"
            )
        rate = self.dropout if dropout is None else check_rate(dropout)
        kept = torch.rand(code.shape, generator=generator, device=code.device) >= rate
        return self.decoder(code * kept / (1 - rate))
