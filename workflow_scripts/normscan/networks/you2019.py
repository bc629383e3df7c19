"""The network of You et al. 2019: fully convolutional, the code an image at a quarter of the side.

Source: You et al. 2019, appendix A, Table 3: all layers have 64 filters of 3x3 and ReLUs, the first
and the fourth convolution halve the side, the code has one channel (``latent: 1``). The decoder
goes up by nearest neighbour interpolation. Its second output, the standard deviation of p(x|z), is
asked for as further channels of the last convolution (:mod:`normscan.models.parts.likelihood`): the
same as a second convolution beside it. Not given in the table: weights (Glorot uniform) and padding
(same).
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise

CITE = ["you2019"]
BOTTLENECKS = ["spatial"]
PARTS = {"encoder", "decoder"}
SIDE = "multiple of 4"
FILTERS = 64


def _convolution(inputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, FILTERS, kernel, stride, kernel // 2), nn.ReLU()]


class Encoder(nn.Module):
    """Slices -> ``codes`` codes (n, latent, size/4, size/4)."""

    def __init__(self, contrasts: int, size: int, latent: int, codes: int):
        super().__init__()
        if size % 4:
            raise ConfigError(f"slices.size: found {size}; network you2019 takes multiples of 4")
        self.codes = codes
        self.stages = nn.Sequential(
            *_convolution(contrasts, stride=2),
            *_convolution(FILTERS),
            *_convolution(FILTERS),
            *_convolution(FILTERS, stride=2),
            *_convolution(FILTERS),
            *_convolution(FILTERS),
        )
        self.code = nn.Conv2d(FILTERS, codes * latent, 1)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
        codes = self.code(self.stages(slices)).chunk(self.codes, dim=1)
        return tuple(full_precision(code) for code in codes)


class Decoder(nn.Module):
    """Code (n, latent, size/4, size/4) -> slices."""

    def __init__(self, contrasts: int, latent: int):
        super().__init__()
        self.stages = nn.Sequential(
            *_convolution(latent, kernel=1),
            *_convolution(FILTERS),
            *_convolution(FILTERS),
            nn.Upsample(scale_factor=2),
            *_convolution(FILTERS),
            *_convolution(FILTERS),
            *_convolution(FILTERS),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(FILTERS, contrasts, 3, padding=1),
        )
        self.apply(initialise)

    def forward(self, code: Tensor) -> Tensor:
        return full_precision(self.stages(code))


def make_encoder(contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1):
    """The encoder of Table 3. ConfigError: a size that is no multiple of 4."""
    return Encoder(contrasts, size, latent, codes)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The decoder of Table 3."""
    return Decoder(contrasts, latent)
