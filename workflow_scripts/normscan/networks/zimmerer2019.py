"""The network of Zimmerer et al. for VAE and ceVAE: four strided stages, then a dense code.

Source: Zimmerer et al. 2019, "Context-encoding Variational Autoencoder for Unsupervised Anomaly
Detection" (reference [7] of Baur et al. 2021): convolutions of 4x4 with stride 2 and 16, 64, 256
and 1024 feature maps, leaky ReLUs, a code of 1024, and a mirrored decoder. Assumed: the code's
layer covers the whole of the last feature map at any slice size (theirs were 64x64), and the output
comes from a 3x3 convolution. Not given: slope (0.01) and weights (Glorot uniform).
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise

CITE = ["zimmerer2018"]
BOTTLENECKS = ["dense"]
PARTS = {"encoder", "decoder"}
SIDE = "multiple of 16"
MAPS = (16, 64, 256, 1024)


def _coarsest(size: int) -> int:
    side = size // 2 ** len(MAPS)
    if not side or size % 2 ** len(MAPS):
        raise ConfigError(f"slices.size: found {size}; network zimmerer2019 takes multiples of 16")
    return side


class Encoder(nn.Module):
    """Slices -> ``codes`` codes (n, latent)."""

    def __init__(self, contrasts: int, size: int, latent: int, codes: int):
        super().__init__()
        self.codes = codes
        layers: list[nn.Module] = []
        for inputs, outputs in zip((contrasts, *MAPS), MAPS):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU()]
        self.stages = nn.Sequential(*layers)
        self.code = nn.Linear(MAPS[-1] * _coarsest(size) ** 2, codes * latent)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
        codes = self.code(self.stages(slices).flatten(1)).chunk(self.codes, dim=1)
        return tuple(full_precision(code) for code in codes)


class Decoder(nn.Module):
    """Code (n, latent) -> slices."""

    def __init__(self, contrasts: int, size: int, latent: int):
        super().__init__()
        side = _coarsest(size)
        self.shape = (MAPS[-1], side, side)
        self.features = nn.Linear(latent, MAPS[-1] * side**2)
        layers: list[nn.Module] = []
        downwards = MAPS[::-1]
        for inputs, outputs in zip(downwards, (*downwards[1:], downwards[-1])):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU()]
        self.stages = nn.Sequential(*layers, nn.Conv2d(MAPS[0], contrasts, 3, padding=1))
        self.apply(initialise)

    def forward(self, code: Tensor) -> Tensor:
        return full_precision(self.stages(self.features(code).unflatten(1, self.shape)))


def make_encoder(contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1):
    """The encoder. ConfigError: a size that is no multiple of 16."""
    return Encoder(contrasts, size, latent, codes)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The decoder."""
    return Decoder(contrasts, size, latent)
