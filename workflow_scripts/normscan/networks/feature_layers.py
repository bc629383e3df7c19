"""Features of several layers on one grid, and an autoencoder of such features.

Source of the layers: He et al. 2016, "Deep residual learning for image recognition", Table 1 and
Fig. 5 (left): ResNet-18 up to its second stage. Layer 0 is the 7 x 7 convolution at half the side,
layer 1 two blocks at a quarter, layer 2 two blocks of twice the width at an eighth. First weights
are those of He et al. 2015, as there.

Source of the autoencoder: Meissen et al. 2022 (see the family that trains it): convolutions of
5 x 5 that halve the side, each with batch norm, leaky ReLU and dropout of whole maps, one more
convolution at the coarsest grid, and the same way back with transposed convolutions of 6 x 6. The
coarsest grid has at least 2 x 2 places, or batch norm would have nothing to go by in a batch of one
slice. Slope of the leaky ReLU: 0.01.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision
from normscan.networks.normalisation import BatchNorm

# The grid of the features: one place for so many pixels, in both directions.
PIXELS = 4
# The side must be halved so often.
COARSEST = 8


class Block(nn.Module):
    """Two 3 x 3 convolutions with batch norm beside a shortcut; ReLU at the end."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            BatchNorm(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            BatchNorm(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            layer = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(layer, BatchNorm(outputs))

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.main(features) + self.shortcut(features))


class FeatureLayers(nn.Module):
    """Slices (n, contrasts, size, size) -> features (n, channels, size / 4, size / 4), at least 0.

    Those of layers 0, 1 and 2, one after the other: layer 0 is brought to the grid of layer 1 by
    means of 2 x 2, layer 2 bilinearly.

    Parameters
    ----------
    width : channels of layers 0 and 1; layer 2 has twice as many.

    Attributes
    ----------
    channels : of all layers.
    """

    def __init__(self, contrasts: int, size: int, width: int):
        super().__init__()
        if size < COARSEST or size % COARSEST:
            raise ConfigError(f"slices.size: found {size}; these features take multiples of 8")
        self.channels = 4 * width
        self.first = nn.Sequential(
            nn.Conv2d(contrasts, width, 7, 2, padding=3, bias=False), BatchNorm(width), nn.ReLU()
        )
        self.second = nn.Sequential(
            nn.MaxPool2d(3, 2, padding=1), Block(width, width, 1), Block(width, width, 1)
        )
        self.third = nn.Sequential(Block(width, 2 * width, 2), Block(2 * width, 2 * width, 1))
        self.apply(_initialise)

    def forward(self, slices: Tensor) -> Tensor:
        first = self.first(slices)
        second = self.second(first)
        third = functional.interpolate(
            self.third(second), second.shape[2:], mode="bilinear", align_corners=False
        )
        return full_precision(torch.cat([functional.avg_pool2d(first, 2), second, third], dim=1))


class Painter(nn.Sequential):
    """Features on the grid -> slices: each place paints its own pixels, knowing its neighbours."""

    def __init__(self, channels: int, width: int, contrasts: int):
        super().__init__(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, contrasts * PIXELS**2, 1),
            nn.PixelShuffle(PIXELS),
        )
        self.apply(_initialise)


class FeatureAutoencoder(nn.Sequential):
    """Features (n, channels, side, side) -> the same, any real value.

    Parameters
    ----------
    side : of the grid.
    widths : channels after each halving of the side.
    dropout : rate at which whole maps are 0 in training.

    Raises
    ------
    ConfigError : the side cannot be halved so often.
    """

    def __init__(self, channels: int, side: int, widths: Sequence[int], dropout: float):
        if side % (most := 2 ** len(widths)) or side == most:
            raise ConfigError(
                f"widths: found {len(widths)}, one for each halving of the {side} x {side} places "
                f"that features have here; that side is not two or more times {most}. Give fewer "
                "widths, or larger slices.size"
            )
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, *widths)):
            layers.append(nn.Conv2d(before, after, 5, 2, padding=2, bias=False))
            layers += _after(after, dropout)
        layers.append(nn.Conv2d(widths[-1], widths[-1], 5, padding=2, bias=False))
        for before, after in pairwise((*reversed(widths), channels)):
            layers.append(nn.ConvTranspose2d(before, after, 6, 2, padding=2, bias=False))
            layers += _after(after, dropout)
        super().__init__(*layers, nn.Conv2d(channels, channels, 1))
        self.apply(_initialise)

    def forward(self, input: Tensor) -> Tensor:
        return full_precision(super().forward(input))


def _after(channels: int, dropout: float) -> list[nn.Module]:
    return [BatchNorm(channels), nn.LeakyReLU(), nn.Dropout2d(dropout)]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
