"""Constrained AE: input and reconstruction must have the same code.

Source: Baur et al. 2021, III-B, after Chen and Konukoglu 2018 (its reference [5]): to the L1 error
comes the squared distance between the codes of a slice and of its reconstruction, weight 1. The
distance is summed over the code as errors are over pixels (not given in the papers); it moves
encoder and decoder.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from normscan.models.parts.coding import CodingModel, absolute_errors
from normscan.slices.batch import Batch, SliceShape

TITLE = "constrained autoencoder"
CITE = ["chen2018"]
LOOK = "constrained"
CAPABILITIES = {"reconstruct", "embed"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "code_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "dropout": "0..<1",
    "code_weight": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "code_weight": "weight of the squared distance between the codes of a slice and of its "
    "reconstruction",
}


class Model(CodingModel):
    """An AE that also encodes its reconstructions in training."""

    def __init__(self, shape: SliceShape, *, code_weight: float = 1.0, **settings: Any):
        super().__init__(shape, **settings)
        self.code_weight = code_weight

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        code = self.encoder(batch.slices)[0]
        expected = self.decoder(code)
        error = absolute_errors(batch.targets, expected).mean()
        distance = code_distance(code, self.encoder(expected)[0]).mean()
        return {
            "loss": error + self.code_weight * distance,
            "reconstruction": error / batch.targets[0].numel(),
            "code": distance,
        }


def code_distance(code: Tensor, other: Tensor) -> Tensor:
    """Squared distance between two codes of each slice (n,)."""
    return (code - other).square().flatten(1).sum(dim=1)
