"""What most families share: an encoder, a code, a decoder, from any of the networks.

Losses are sums over a slice's pixels, averaged over slices (Baur et al. 2021, II-A Eq. 1; the paper
gives no reduction).
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from normscan.errors import ConfigError
from normscan.models.base import BaseModel, adam, l1_error
from normscan.networks import registry as networks
from normscan.networks.layers import full_precision
from normscan.slices.batch import Batch, SliceShape


class CodingModel(BaseModel):
    """Encoder and decoder on a chosen network; ``codes`` tensors come out of the encoder.

    Parameters
    ----------
    network, bottleneck : see :mod:`normscan.networks.registry`.
    latent : length of the code; its channels where the bottleneck is spatial.
    dropout : rate at which the network drops entries of the code in training; None: its own.
    images : how many the decoder gives of every target, one after the other in its channels.

    Attributes
    ----------
    dropout : that rate; None: the bottleneck has no dropout.
    """

    codes = 1

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified",
        bottleneck: str = "dense",
        latent: int = 128,
        dropout: float | None = None,
        learning_rate: float = 1e-4,
        images: int = 1,
    ):
        super().__init__(shape)
        self.learning_rate = learning_rate
        module = network_with(network, bottleneck)
        self.dropout = networks.dropout_rate(network, bottleneck, dropout)
        dropping = {} if self.dropout is None else {"dropout": self.dropout}
        size = shape.size
        self.encoder = module.make_encoder(shape.inputs, size, latent, bottleneck, self.codes)
        self.decoder = module.make_decoder(
            images * shape.targets, size, latent, bottleneck, **dropping
        )

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.trainable(), self.learning_rate)}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """L1 error per pixel (n,)."""
        return l1_error(self, batch)

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Decode the code, or its mean."""
        return self.decoder(self.encoder(slices)[0])

    def embed(self, slices: Tensor) -> Tensor:
        """Features of the encoder's last stage (n, features, rows, columns), before the code."""
        return full_precision(self.encoder.stages(slices))


def network_with(network: str, bottleneck: str) -> ModuleType:
    """The module of a network that has such a bottleneck. ConfigError: there is none."""
    module, has = networks.load(network), networks.describe(network)["bottlenecks"]
    if bottleneck not in has:
        allowed = ", ".join(has)
        raise ConfigError(f"bottleneck: found '{bottleneck}'; network {network} has: {allowed}")
    return module


def absolute_errors(slices: Tensor, expected: Tensor) -> Tensor:
    """Absolute errors summed over each slice's pixels and contrasts (n,)."""
    return (slices - expected).abs().flatten(1).sum(dim=1)
