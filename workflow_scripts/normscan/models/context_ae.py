"""Context AE: fills in squares that were painted over. Source: Baur et al. 2021, II-A (Fig. 2e).

The squares are those of Zimmerer et al. 2019 (its reference [7]); the L1 error is that of the whole
slice against the slice before painting. (The published code compares with the painted slice, which
teaches to copy the noise; the paper, "recover missing sections", is followed.) Trained models see
slices as they are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from normscan.models.parts.coding import CodingModel, absolute_errors
from normscan.models.parts.masking import paint_squares
from normscan.slices.batch import Batch, SliceShape

TITLE = "context-encoding autoencoder"
CITE = ["zimmerer2018"]
LOOK = "context"
CAPABILITIES = {"reconstruct", "embed"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
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
    "squares": "0..",
    "largest_square": "0..1",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "squares": "that are painted over",
    "largest_square": "their largest side [share of a slice's side]",
}


class Model(CodingModel):
    """An AE whose input has squares painted over in training."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        squares: int = 3,
        largest_square: float = 0.5,
        **settings: Any,
    ):
        super().__init__(shape, **settings)
        self.squares, self.largest_square = squares, largest_square

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        painted = paint_squares(batch.slices, self.squares, self.largest_square)
        error = absolute_errors(batch.targets, self.reconstruct(painted)).mean()
        return {"loss": error, "reconstruction": error / batch.targets[0].numel()}
