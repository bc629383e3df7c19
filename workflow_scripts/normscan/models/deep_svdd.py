"""Deep SVDD: an encoder that maps healthy slices close to one point.

Source: Ruff et al. 2018, "Deep one-class classification", section 3
(:mod:`normscan.models.parts.one_class`); ``weight_decay`` is their lambda, the score of a slice
its squared distance to the centre (Eq. 5). The encoder has no biases, nor have its norms. Otherwise
than there: any of the networks instead of LeNet's kind, no pretraining as an autoencoder (their
experiments), one learning rate, early stopping by the loss on held-out slices.

This one scores slices; that of single pixels (Kim et al. 2021) is a family of its own.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from normscan.models.parts.biases import without_biases
from normscan.models.parts.coding import network_with
from normscan.models.parts.one_class import OneClass
from normscan.slices.batch import Batch, SliceShape

TITLE = "deep SVDD"
CITE = ["ruff2018"]
LOOK = "density"
COST = 0.5
CAPABILITIES = {"score_slices"}
PARTS = {"encoder"}
NEEDS_DENSE = True
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "weight_decay": 1e-6,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "weight_decay": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}


class Model(OneClass):
    """An encoder without biases, and the centre (latent,)."""

    encoder: nn.Module

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified",
        bottleneck: str = "dense",
        latent: int = 128,
        **settings: Any,
    ):
        super().__init__(shape, latent=latent, **settings)
        module = network_with(network, bottleneck)
        self.encoder = without_biases(
            module.make_encoder(shape.inputs, shape.size, latent, bottleneck)
        )

    def codes(self, batch: Batch[Tensor]) -> Tensor:
        """Codes of slices (n, latent)."""
        return self.encoder(batch.slices)[0]

    def score_slices(self, slices: Tensor) -> Tensor:
        """Squared distances of codes to the centre (n,)."""
        return self.distances(self.encoder(slices)[0])

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """Squared distances (n,)."""
        return self.score_slices(batch.slices)
