"""Deep SVDD of single pixels: intensities of all contrasts that lie far from the healthy ones.

Source: Kim et al. 2021, supplement III-C, after Ruff et al. 2018
(:mod:`normscan.models.parts.one_class`). A pixel is the vector of its contrasts' intensities; 1x1
convolutions from the contrasts (there four) to 8, 8 and 3 features, batch norm and leaky ReLU
between them; a pixel's energy is its squared distance to the centre. "All experimental conditions"
follow Ruff et al.: no biases, neither in convolutions nor in norms, an activation without bounds
(leaky ReLU, slope 0.01 as in the code published with that paper), the centre fixed after a first
pass and away from 0, weight decay, Adam. Background is left out, as it is of Kim et al.'s OC-SVM
("similar to OC-SVM"). Not given: batches (here all brain pixels of ``batch_size`` slices); assumed
as for slices: no pretraining, one learning rate, early stopping by the loss on held-out slices.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from normscan.models.parts.biases import without_biases
from normscan.models.parts.one_class import OneClass
from normscan.models.parts.pixels import brain_means, brain_pixels
from normscan.networks.layers import full_precision, initialise
from normscan.networks.normalisation import BatchNorm
from normscan.slices.batch import Batch, SliceShape

TITLE = "deep SVDD of pixels"
CITE = ["ruff2018"]
LOOK = "density"
COST = 0.1
CAPABILITIES = {"energy"}
LAYERS = {"brain"}
SETTINGS = {
    "width": 8,
    "latent": 3,
    "weight_decay": 1e-6,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "width": "1..",
    "latent": "1..",
    "weight_decay": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "width": "features of both hidden layers",
    "latent": "features of the code",
}
CHECKED_WITH = {"latent": 3, "learning_rate": 1e-2}
SLOPE = 0.01


class Model(OneClass):
    """A network of 1x1 convolutions without biases, and the centre (latent,)."""

    network: nn.Sequential

    def __init__(self, shape: SliceShape, *, width: int = 8, latent: int = 3, **settings: Any):
        super().__init__(shape, latent=latent, **settings)
        layers = [
            nn.Conv2d(shape.inputs, width, 1),
            BatchNorm(width),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, width, 1),
            BatchNorm(width),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, latent, 1),
        ]
        self.network = without_biases(nn.Sequential(*layers).apply(initialise))

    def codes(self, batch: Batch[Tensor]) -> Tensor:
        """Codes (m, latent) of the brain's pixels: an image of one row to the network."""
        row = brain_pixels(batch).T[None, :, None]
        return full_precision(self.network(row))[0, :, 0].T

    def energy(self, slices: Tensor) -> Tensor:
        """Squared distances of pixels' codes to the centre (n, size, size)."""
        return self.distances(full_precision(self.network(slices)))

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """Mean squared distance of each slice's brain pixels (n,)."""
        return brain_means(self.energy(batch.slices), batch)
