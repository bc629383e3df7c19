"""What families share that map what is healthy close to one point (Deep SVDD).

Source: Ruff et al. 2018, "Deep one-class classification", section 3: the one-class objective (Eq.
4), the mean squared distance of codes to a centre, with weight decay (their lambda). The centre
stays what the mean code was in a first pass through the training slices (section 3.3). A network
with biases, or with bounded activations, could map everything to the centre (Propositions 2 and 3):
networks are to have neither, and entries of the centre near 0 are moved away from it, as in the
code published with the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor

from normscan.models.base import BaseModel, Batches
from normscan.slices.batch import Batch, SliceShape

# Least distance of the centre's entries from 0.
AWAY = 0.1


class OneClass(BaseModel):
    """The centre (latent,), and training towards it; families say what codes are."""

    centre: Tensor

    def __init__(
        self, shape: SliceShape, *, latent: int, weight_decay: float, learning_rate: float
    ):
        super().__init__(shape)
        self.weight_decay, self.learning_rate = weight_decay, learning_rate
        self.register_buffer("centre", torch.zeros(latent))

    def codes(self, batch: Batch[Tensor]) -> Tensor:
        """Codes (m, latent) of what is in a batch: slices or pixels."""
        raise NotImplementedError

    def distances(self, codes: Tensor) -> Tensor:
        """Squared distances of codes (m, latent, ...) to the centre (m, ...)."""
        centre = self.centre.view(-1, *[1] * (codes.ndim - 2))
        return (codes - centre).square().sum(dim=1)

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
            codes = self.codes(batch)
            total += codes.double().sum(dim=0)
            count += len(codes)
        self.centre.copy_(away_from_zero(total / count, AWAY))

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        return {"loss": self.distances(self.codes(batch)).mean()}


def away_from_zero(values: Tensor, least: float) -> Tensor:
    """``values``, those nearer to 0 than ``least`` moved there, 0 itself upwards."""
    moved = torch.where(values < 0, -least, least).to(values)
    return torch.where(values.abs() < least, moved, values)
