"""Scale-space AE: one autoencoder for each band of a slice's Laplacian pyramid.

Source: Baur et al. 2020, "Scale-space autoencoders for unsupervised anomaly segmentation in brain
MRI", as summed up in the thesis (Baur 2021, section 3.4.4): bands of different frequency are
compressed by an autoencoder each, and the reconstruction is the inverse transform of the
reconstructed pyramid. Not given there: three levels, equal weights of the levels' losses, and the
network: the unified one at the size of each band, which has the fewer stages the coarser a band is.
Losses are L1 errors of the bands, summed over pixels as in the study's other models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.models.base import BaseModel, adam, l1_error
from normscan.models.parts.coding import absolute_errors, network_with
from normscan.models.parts.pyramid import collapse, laplacian_pyramid
from normscan.networks import registry as networks
from normscan.slices.batch import Batch, SliceShape

TITLE = "scale-space autoencoder"
PAGE = "scale_space"
CITE = ["baurscale2020"]
LOOK = "autoencoder"
COST = 1.4
CAPABILITIES = {"reconstruct"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "levels": 3,
    "level_weights": [1.0],
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


class Model(BaseModel):
    """An encoder and a decoder for each level."""

    codes = 1

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified",
        bottleneck: str = "dense",
        latent: int = 128,
        dropout: float | None = None,
        levels: int = 3,
        level_weights: Sequence[float] = (1.0,),
        learning_rate: float = 1e-4,
    ):
        super().__init__(shape)
        if shape.size % 2 ** (levels - 1):
            raise ConfigError(
                f"levels: found {levels}; slices of {shape.size} pixels cannot be halved so often"
            )
        if not level_weights:
            raise ConfigError("level_weights: found none; give at least one")
        self.learning_rate, self.levels = learning_rate, levels
        self.weights = [*level_weights, *[level_weights[-1]] * levels][:levels]
        module = network_with(network, bottleneck)
        rate = networks.dropout_rate(network, bottleneck, dropout)
        dropping = {} if rate is None else {"dropout": rate}
        sizes = [shape.size // 2**level for level in range(levels)]
        self.encoders = nn.ModuleList(
            module.make_encoder(shape.inputs, size, latent, bottleneck, self.codes)
            for size in sizes
        )
        self.decoders = nn.ModuleList(
            module.make_decoder(shape.targets, size, latent, bottleneck, **dropping)
            for size in sizes
        )

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.trainable(), self.learning_rate)}

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        bands = laplacian_pyramid(batch.targets, self.levels)
        expected = [decode(encode(one)[0]) for encode, decode, one in self._parts(bands)]
        errors = self.band_errors(bands, expected)
        return {"loss": errors, "reconstruction": pixel_error(batch, expected)}

    def band_errors(self, bands: Sequence[Tensor], expected: Sequence[Tensor]) -> Tensor:
        """Weighted L1 errors of all bands, summed over pixels, mean over slices."""
        terms = zip(self.weights, bands, expected)
        return torch.stack([w * absolute_errors(a, b).mean() for w, a, b in terms]).sum()

    def _parts(self, bands: Sequence[Any]) -> zip:
        """Encoder, decoder and band of each level."""
        return zip(self.encoders, self.decoders, bands)

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """L1 error per pixel of the slices (n,)."""
        return l1_error(self, batch)

    def reconstruct(self, slices: Tensor) -> Tensor:
        """The inverse transform of the bands that the levels give back."""
        bands = laplacian_pyramid(slices, self.levels)
        return collapse([decode(encode(one)[0]) for encode, decode, one in self._parts(bands)])


def pixel_error(batch: Batch[Tensor], expected: Sequence[Tensor]) -> Tensor:
    """L1 error per pixel of the slices that bands make up, for the training curve."""
    return (batch.targets - collapse(expected).detach()).abs().mean()
