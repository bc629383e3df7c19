"""Residual encoder and decoder of Kobayashi et al. 2021, sections III-C1 and III-C2.

For slices of 256 x 256: encoder blocks of 32, 64, 128, 256, 512 and 512 filters, average pooling
after each, two codes of 128 x 4 x 4 (mean and logarithm of the variance); decoder blocks of 512,
512, 256, 128, 64, 32 and 16 filters, interpolation and a convolution after all but the last, tanh.
A block is [convolution, batch norm, LeakyReLU] twice, beside a residual connection (He et al.
2016). Weights start as in He et al. 2015. The network computes in [-1, 1], as published: slices x
of [0, 1] become 2x - 1 inside, outputs (tanh + 1) / 2. Intensities above 1 come in as they are, but
none comes out.

Smaller slices keep codes of 4 x 4: the encoder has fewer blocks, the first ones, and the decoder
mirrors it. As in He et al. 2016, section 3.4, every convolution has a batch norm, also those of
connections and of interpolations, but for the two whose outputs leave the network: without these
norms training diverges at the decoder's published rate of 5e-3.

Not given: kernels (3x3; 1x1 for connections between blocks of unequal filters, and for the codes),
the slope (0.2, as in the code of IntroVAE), the interpolation (nearest neighbours), which decoder
block is without one (the last: seven blocks, six doublings), the tenth of the usual first weights
that the layers of the codes and of the image have, so that codes start near the prior.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, quieten
from normscan.networks.normalisation import BatchNorm

CITE = ["kobayashi2021", "he2015", "he2016"]
BOTTLENECKS = ["spatial"]
PARTS = {"encoder", "decoder"}
SIDE = "8 times a power of two"
FILTERS = (32, 64, 128, 256, 512, 512)
LAST_FILTERS = 16
GRID = 4
SLOPE = 0.2


class ToSymmetric(nn.Module):
    """Intensities of [0, 1] to [-1, 1]."""

    def forward(self, slices: Tensor) -> Tensor:
        return 2 * slices - 1


class FromSymmetric(nn.Module):
    """Any numbers to [0, 1], by a tanh."""

    def forward(self, images: Tensor) -> Tensor:
        return (torch.tanh(images) + 1) / 2


class Block(nn.Module):
    """[Convolution, batch norm, LeakyReLU] twice, beside a residual connection."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        layers: list[nn.Module] = []
        for before in (inputs, outputs):
            layers += [
                nn.Conv2d(before, outputs, 3, padding=1, bias=False),
                BatchNorm(outputs),
                nn.LeakyReLU(SLOPE),
            ]
        self.main = nn.Sequential(*layers)
        same = inputs == outputs
        project = [nn.Conv2d(inputs, outputs, 1, bias=False), BatchNorm(outputs)]
        self.shortcut = nn.Sequential(*([] if same else project))

    def forward(self, features: Tensor) -> Tensor:
        return self.main(features) + self.shortcut(features)


def encoder_filters(size: int) -> tuple[int, ...]:
    """Filters of the encoder's blocks, as many as halve slices of this side down to 4 pixels.

    Raises
    ------
    ConfigError : no number of blocks does.
    """
    sizes = [GRID * 2 ** (number + 1) for number in range(len(FILTERS))]
    if size not in sizes:
        allowed = ", ".join(map(str, sizes))
        raise ConfigError(
            f"slices.size: found {size}; network kobayashi2021 takes multiples of {GRID} by powers "
            f"of two: {allowed}"
        )
    return FILTERS[: sizes.index(size) + 1]


class Encoder(nn.Module):
    """Slices -> ``codes`` codes (n, latent, 4, 4)."""

    def __init__(self, contrasts: int, size: int, latent: int, codes: int):
        super().__init__()
        self.codes = codes
        filters = encoder_filters(size)
        layers: list[nn.Module] = [ToSymmetric()]
        for inputs, outputs in zip((contrasts, *filters), filters):
            layers += [Block(inputs, outputs), nn.AvgPool2d(2)]
        self.stages = nn.Sequential(*layers)
        self.code = nn.Conv2d(filters[-1], codes * latent, 1)
        self.apply(initialise)
        quieten(self.code)

    def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
        codes = self.code(self.stages(slices)).chunk(self.codes, dim=1)
        return tuple(full_precision(code) for code in codes)


class Decoder(nn.Module):
    """Code (n, latent, 4, 4) -> slices in [0, 1]."""

    def __init__(self, contrasts: int, size: int, latent: int):
        super().__init__()
        filters = encoder_filters(size)[::-1]
        layers: list[nn.Module] = []
        for inputs, outputs in zip((latent, *filters), filters):
            layers += [
                Block(inputs, outputs),
                nn.Upsample(scale_factor=2),
                nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
                BatchNorm(outputs),
            ]
        last = nn.Conv2d(LAST_FILTERS, contrasts, 3, padding=1)
        self.stages = nn.Sequential(*layers, Block(filters[-1], LAST_FILTERS), last)
        self.range = FromSymmetric()
        self.apply(initialise)
        quieten(last)

    def forward(self, code: Tensor) -> Tensor:
        return self.range(full_precision(self.stages(code)))


def initialise(module: nn.Module) -> None:
    """Normal weights as in He et al. 2015, zero biases, of convolutions."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def make_encoder(contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1):
    """The encoder. ConfigError: a size other than 8, 16, 32, 64, 128 and 256."""
    return Encoder(contrasts, size, latent, codes)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The decoder. ConfigError: a size other than 8, 16, 32, 64, 128 and 256."""
    return Decoder(contrasts, size, latent)
