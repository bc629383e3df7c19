"""Deep SVDD: an encoder that maps healthy slices close to one point.

Source: Ruff et al. 2018, "Deep one-class classification", section 3: the one-class objective (Eq.
4), the mean squared distance of codes to a centre, with weight decay (``weight_decay``, their
lambda); the score of a slice is its squared distance (Eq. 5). The centre stays what the mean code
was in a first pass through the training slices (section 3.3). A network with biases, or with
bounded activations, could map everything to the centre (Propositions 2 and 3): the encoder has no
biases, nor have its norms, and entries of the centre near 0 are moved away from it, as in the code
published with the paper. Otherwise than there: any of the networks instead of LeNet's kind, no
pretraining as an autoencoder (their experiments), one learning rate, early stopping by the loss on
held-out slices.

Kim et al. 2021 compare with a Deep SVDD of single pixels (1x1 convolutions on four contrasts,
supplement III-C); this one scores slices.
"""

from __future__ import annotations

import torch
from torch import Tensor

from normscan.models.base import BaseModel, Batches
from normscan.models.parts.biases import without_biases
from normscan.models.parts.coding import network_with
from normscan.slices.batch import Batch, SliceShape

TITLE = "deep SVDD"
CITE = ["ruff2018"]
LOOK = "one-class"
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
# Least distance of the centre's entries from 0.
AWAY = 0.1


class Model(BaseModel):
    """An encoder without biases, and the centre (latent,)."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified",
        bottleneck: str = "dense",
        latent: int = 128,
        weight_decay: float = 1e-6,
        learning_rate: float = 1e-4,
    ):
        super().__init__(shape)
        self.weight_decay, self.learning_rate = weight_decay, learning_rate
        module = network_with(network, bottleneck)
        self.encoder = without_biases(
            module.make_encoder(shape.inputs, shape.size, latent, bottleneck)
        )
        self.register_buffer("centre", torch.zeros(latent))

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        adam = torch.optim.Adam
        rate, decay = self.learning_rate, self.weight_decay
        return {"main": adam(self.trainable(), lr=rate, weight_decay=decay)}

    @torch.no_grad()
    def start_phase(self, phase: str, batches: Batches) -> None:
        """Fix the centre. As in training, norms go by each batch's own statistics."""
        self.train()
        total, count = torch.zeros_like(self.centre, dtype=torch.float64), 0
        for batch in batches():
            total += self.encoder(batch.slices)[0].double().sum(dim=0)
            count += len(batch)
        self.centre.copy_(away_from_zero(total / count, AWAY))

    def score_slices(self, slices: Tensor) -> Tensor:
        """Squared distances of codes to the centre (n,)."""
        return (self.encoder(slices)[0] - self.centre).square().sum(dim=1)

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        return {"loss": self.score_slices(batch.slices).mean()}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """Squared distances (n,)."""
        return self.score_slices(batch.slices)


def away_from_zero(values: Tensor, least: float) -> Tensor:
    """``values``, those nearer to 0 than ``least`` moved there, 0 itself upwards."""
    moved = torch.where(values < 0, -least, least).to(values)
    return torch.where(values.abs() < least, moved, values)
