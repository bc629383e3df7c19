"""Context-encoding VAE. Source: Zimmerer et al. 2019, reference [7] of Baur et al. 2021, III-B.

Two branches on the same weights: the VAE's (L1 error and divergence), and a context encoder's,
which decodes the mean of the code of a slice with squares painted over, without divergence. Losses
are added; the error of the second branch is against the slice before painting (the published code
of the study compares with the painted slice; the paper, "recover missing sections", is followed).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from normscan.models.parts.coding import absolute_errors
from normscan.models.parts.masking import paint_squares
from normscan.models.vae import Model as VAE
from normscan.slices.batch import Batch, SliceShape

TITLE = "context-encoding variational autoencoder"
CITE = ["zimmerer2018"]
LOOK = "context"
CAPABILITIES = {"reconstruct", "elbo", "sample", "embed"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "kl_weight": 1.0,
    "context_weight": 1.0,
    "squares": 3,
    "largest_square": 0.5,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "dropout": "0..<1",
    "kl_weight": "0..",
    "context_weight": "0..",
    "squares": "0..",
    "largest_square": "0..1",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "context_weight": "weight of the branch whose slices are painted over; the VAE's is 1",
    "squares": "that are painted over",
    "largest_square": "their largest side [share of a slice's side]",
}


class Model(VAE):
    """A VAE that also fills in squares in training."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        context_weight: float = 1.0,
        squares: int = 3,
        largest_square: float = 0.5,
        **settings: Any,
    ):
        super().__init__(shape, **settings)
        self.context_weight = context_weight
        self.squares, self.largest_square = squares, largest_square

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        losses = super().losses(batch)
        painted = paint_squares(batch.slices, self.squares, self.largest_square)
        context = absolute_errors(batch.targets, self.reconstruct(painted)).mean()
        losses["loss"] = losses["loss"] + self.context_weight * context
        return losses | {"context": context / batch.targets[0].numel()}
