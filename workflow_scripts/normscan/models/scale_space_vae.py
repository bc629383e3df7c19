"""Scale-space VAE: one variational autoencoder for each band of a slice's Laplacian pyramid.

Source: as of the scale-space AE (Baur 2021, section 3.4.4: "a set of (variational) AEs"). To the
weighted errors of the bands comes the divergence of each level's code, with ``kl_weight``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.models.parts.gaussian import draw, kl_to_standard
from normscan.models.parts.pyramid import collapse, laplacian_pyramid
from normscan.models.scale_space_ae import Model as ScaleSpaceAE
from normscan.models.scale_space_ae import pixel_error
from normscan.slices.batch import Batch, SliceShape

TITLE = "scale-space variational autoencoder"
PAGE = "scale_space"
CITE = ["baurscale2020"]
LOOK = "variational"
COST = 1.4
CAPABILITIES = {"reconstruct", "sample"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "levels": 3,
    "level_weights": [1.0],
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
    "levels": "1..",
    "level_weights": "each 0..",
    "kl_weight": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
TOGETHER = {
    "levels < 64 and size % 2 ** (levels - 1) == 0": "slices cannot be halved so often",
}
MEANING = {
    "levels": "bands of the pyramid",
    "level_weights": "of the bands' losses, the finest first; the last one also stands for all "
    "further ones",
}
# Bands of 32 and of 16 pixels, the least that the network takes.
CHECKED_WITH = {"levels": 2}
CHECKED_AT = 32


class Model(ScaleSpaceAE):
    """Encoders to mean and log variance of a code at each level, decoders."""

    codes = 2

    def __init__(self, shape: SliceShape, *, kl_weight: float = 1.0, **settings: Any):
        super().__init__(shape, **settings)
        self.kl_weight = kl_weight

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        bands = laplacian_pyramid(batch.targets, self.levels)
        codes = [encode(one) for encode, _, one in self._parts(bands)]
        expected = [decode(draw(*code)) for _, decode, code in self._parts(codes)]
        divergence = torch.stack([kl_to_standard(*code).mean() for code in codes]).sum()
        return {
            "loss": self.band_errors(bands, expected) + self.kl_weight * divergence,
            "reconstruction": pixel_error(batch, expected),
            "kl": divergence,
        }

    def encode(self, slices: Tensor) -> tuple[Tensor, ...]:
        """Mean and log variance of each level's code, one after the other, the finest first."""
        bands = laplacian_pyramid(slices, self.levels)
        return tuple(part for encode, _, one in self._parts(bands) for part in encode(one))

    def decode_sample(self, code: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        """Decode codes drawn from the posteriors of all levels."""
        pairs = zip(code[::2], code[1::2])
        drawn = [draw(mean, log_variance, generator) for mean, log_variance in pairs]
        return collapse([decode(one) for _, decode, one in self._parts(drawn)])
