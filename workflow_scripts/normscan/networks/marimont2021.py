"""A network whose code is a map at an eighth of the side, with residual blocks on the way.

Source: the code published with Marimont and Tarroni 2021: filters of 16, 32, 64 and 256, three
strided 5x5 convolutions, two residual blocks in each stage and one after the last, a decoder that
mirrors it with 6x6 transposed convolutions. The blocks are the plain ones of Oord et al. 2017
(section 4.1: ReLU, 3x3, ReLU, 1x1) with a batch norm, instead of gated ones with dropout. Not
built: the axial position as a further input channel, which detection does not hand to models. Not
given: weights (Glorot uniform, the last layer's a tenth of it as in the unified network).
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise, quieten
from normscan.networks.normalisation import BatchNorm

CITE = ["marimont2021", "oord2017"]
BOTTLENECKS = ["spatial"]
PARTS = {"encoder", "decoder"}
SIDE = "multiple of 8"
FILTERS = (16, 32, 64, 256)
BLOCKS = 2
COARSER = 2 ** (len(FILTERS) - 1)


class Block(nn.Module):
    """ReLU, 3x3 convolution, batch norm, ReLU, 1x1 convolution, beside the features themselves."""

    def __init__(self, filters: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(filters, filters, 3, padding=1, bias=False),
            BatchNorm(filters),
            nn.ReLU(),
            nn.Conv2d(filters, filters, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.main(features)


class Encoder(nn.Module):
    """Slices -> ``codes`` codes (n, latent, size/8, size/8)."""

    def __init__(self, contrasts: int, size: int, latent: int, codes: int):
        super().__init__()
        if size < COARSER or size % COARSER:
            raise ConfigError(
                f"slices.size: found {size}; network marimont2021 takes multiples of {COARSER}"
            )
        self.codes = codes
        layers: list[nn.Module] = [
            nn.Conv2d(contrasts, FILTERS[0], 7, padding=3, bias=False),
            BatchNorm(FILTERS[0]),
        ]
        for inputs, outputs in zip(FILTERS, FILTERS[1:]):
            layers += [Block(inputs) for _ in range(BLOCKS)]
            layers += [
                nn.Conv2d(inputs, outputs, 5, stride=2, padding=2, bias=False),
                BatchNorm(outputs),
            ]
        self.stages = nn.Sequential(*layers, Block(FILTERS[-1]))
        self.code = nn.Conv2d(FILTERS[-1], codes * latent, 1)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
        codes = self.code(self.stages(slices)).chunk(self.codes, dim=1)
        return tuple(full_precision(code) for code in codes)


class Decoder(nn.Module):
    """Code (n, latent, size/8, size/8) -> slices."""

    def __init__(self, contrasts: int, latent: int):
        super().__init__()
        upwards = FILTERS[::-1]
        layers: list[nn.Module] = [
            nn.Conv2d(latent, upwards[0], 3, padding=1, bias=False),
            BatchNorm(upwards[0]),
        ]
        for inputs, outputs in zip(upwards, upwards[1:]):
            layers += [Block(inputs) for _ in range(BLOCKS)]
            layers += [
                nn.ConvTranspose2d(inputs, outputs, 6, stride=2, padding=2, bias=False),
                BatchNorm(outputs),
            ]
        last = nn.Conv2d(FILTERS[0], contrasts, 1)
        self.stages = nn.Sequential(*layers, Block(FILTERS[0]), nn.ReLU(), last)
        self.apply(initialise)
        quieten(last)

    def forward(self, code: Tensor) -> Tensor:
        return full_precision(self.stages(code))


def make_encoder(contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1):
    """The encoder. ConfigError: a size that is no multiple of 8."""
    return Encoder(contrasts, size, latent, codes)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The decoder."""
    return Decoder(contrasts, latent)
