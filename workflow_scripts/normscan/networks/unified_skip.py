"""The unified network with skip connections: a U-shaped autoencoder whose skips lose whole maps.

Source: Baur et al. 2020, "Bayesian skip-autoencoders", as summed up in the thesis (Baur 2021,
section 3.4.3): skip connections make reconstructions faithful, dropout on them keeps the network
from learning the identity. Stages and dense code are those of the unified network (Baur et al.
2021, section III-B). Every stage of the decoder but the first also gets what the encoder had at
that size, as further channels (as in a U-Net).

Not given there: which sizes have a skip (here all between the slice's own and the code's, 16 to
half the side: one at the full side would hand the slice itself over), that the code is whole (with
dropout there as well the skips would be the safer way), and that dropout takes whole feature maps
(Tompson et al. 2015): of single pixels the neighbours tell the same, and the identity survives.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise, quieten
from normscan.networks.normalisation import BatchNorm
from normscan.networks.unified import (
    DenseCode,
    DenseFeatures,
    decoder_filters,
    down,
    encoder_filters,
    up,
)

CITE = ["baur2021"]
PARTS = {"skip_encoder", "skip_decoder"}
SIDE = "16 times a power of two"


class SkipEncoder(nn.Module):
    """Slices (n, contrasts, size, size) -> code (n, latent) and skips, the finest first.

    Skips are features (n, channels, side, side) of the sides size / 2, size / 4, ..., 16.
    """

    def __init__(self, contrasts: int, size: int, latent: int):
        super().__init__()
        filters = checked_filters(size)
        pairs = zip((contrasts, *filters), filters)
        self.stages = nn.Sequential(*(nn.Sequential(*down(a, b)) for a, b in pairs))
        self.code = DenseCode(filters[-1], latent)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> tuple[Tensor, list[Tensor]]:
        found, skips = slices, []
        for stage in self.stages:
            found = stage(found)
            skips.append(found)
        return self.code(skips.pop())[0], skips


class SkipDecoder(nn.Module):
    """Code and skips of a :class:`SkipEncoder` -> slices (n, contrasts, size, size).

    It has two halves: :meth:`start`, which no skip enters, and :meth:`finish`.
    """

    def __init__(self, contrasts: int, size: int, latent: int):
        super().__init__()
        skips, filters = checked_filters(size), decoder_filters(size)
        self.features = DenseFeatures(latent, skips[-1], 0.0)
        self.first = nn.Sequential(BatchNorm(skips[-1]), nn.ReLU(), *up(skips[-1], filters[0]))
        pairs = list(zip(filters, filters[1:]))
        stages = [up(a + skip, b) for (a, b), skip in zip(pairs, skips[-2::-1])]
        stages[-1].append(nn.Conv2d(filters[-1], contrasts, 1))
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in stages)
        self.apply(initialise)
        last = stages[-1][-1]
        assert isinstance(last, nn.Conv2d)
        quieten(last)

    def start(self, code: Tensor) -> Tensor:
        """What of the decoder follows from the code alone (n, channels, 16, 16)."""
        return self.first(self.features(code))

    def finish(self, found: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Slices from that and the skips, the finest first."""
        for stage, skip in zip(self.stages, reversed(skips)):
            found = stage(torch.cat([found, skip], dim=1))
        return full_precision(found)

    def forward(self, code: Tensor, skips: Sequence[Tensor]) -> Tensor:
        return self.finish(self.start(code), skips)


def checked_filters(size: int) -> list[int]:
    """Filters of the encoder's stages. ConfigError: a size with nothing to skip."""
    filters = encoder_filters(size)
    if len(filters) < 2:
        raise ConfigError(
            f"slices.size: found {size}; the unified network with skips takes 32, 64, 128, 256 or "
            "512"
        )
    return filters


def make_skip_encoder(contrasts: int, size: int, latent: int) -> SkipEncoder:
    """The encoder; parameters as of :class:`SkipEncoder`."""
    return SkipEncoder(contrasts, size, latent)


def make_skip_decoder(contrasts: int, size: int, latent: int) -> SkipDecoder:
    """The decoder; parameters as of :class:`SkipDecoder`."""
    return SkipDecoder(contrasts, size, latent)
