"""What families share that learn to segment from labels, true ones or others."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from normscan.models.parts.overlap import batch_dice_loss, dice_losses
from normscan.models.parts.translating import ImageModel
from normscan.slices.batch import Batch, SliceShape
from normscan.streams import PSEUDO


class Taught(ImageModel):
    """A network from slices to the log odds of a lesion, taught by pseudo-labels.

    The soft Dice of a whole batch and the mean cross entropy of its pixels are added: Dice does not
    mind how rare lesions are, cross entropy has gradients where a slice has none.

    Parameters
    ----------
    cross_entropy_weight : of the cross entropy against the Dice; 0: Dice alone.
    """

    def __init__(self, shape: SliceShape, *, cross_entropy_weight: float = 1.0, **settings: Any):
        super().__init__(shape, 1, **settings)
        self.cross_entropy_weight = cross_entropy_weight

    def segment(self, slices: Tensor) -> Tensor:
        """Probabilities of a lesion (n, size, size)."""
        return self.network(slices).sigmoid().squeeze(1)

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Of the pseudo-labels: ``overlap`` and ``cross_entropy``, and their weighted sum."""
        return self.label_losses(self.network(batch.slices), batch, PSEUDO)

    def label_losses(self, logits: Tensor, batch: Batch[Tensor], layer: str) -> dict[str, Tensor]:
        """Losses of log odds (n, 1, size, size) against a layer, which is 0 where nothing is."""
        truth = labels(batch, layer)
        overlap = batch_dice_loss(logits.sigmoid(), truth)
        entropy = binary_cross_entropy_with_logits(logits.squeeze(1), truth)
        loss = overlap + self.cross_entropy_weight * entropy
        return {"loss": loss, "overlap": overlap, "cross_entropy": entropy}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """The same of each slice (n,), of pseudo-labels: true ones would not be there."""
        logits, truth = self.network(batch.slices).squeeze(1), labels(batch, PSEUDO)
        overlap = dice_losses(logits.sigmoid().flatten(1), truth.flatten(1))
        entropy = binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return overlap + self.cross_entropy_weight * entropy.flatten(1).mean(dim=1)


def labels(batch: Batch[Tensor], layer: str) -> Tensor:
    """Whether a layer has any label there (n, size, size), 0 or 1 as float32."""
    return (batch.layers[layer] > 0).to(torch.float32)
