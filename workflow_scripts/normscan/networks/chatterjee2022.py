"""The compact network of StRegA's ceVAE: three strided stages with residual blocks, a dense code.

Source: Chatterjee et al. 2022, section 3.2.2: a symmetric encoder and decoder with 64, 128 and 256
feature maps, a code of 256 (``latent: 256``), residual connections and batch normalisation after
each convolution. The layers are drawn in Fig. 2 only. Assumed, after the ceVAE that it makes
compact (:mod:`normscan.networks.zimmerer2019`): convolutions of 4x4 with stride 2, leaky ReLUs
(0.01), a code's layer that covers the whole of the last feature map at any slice size. A residual
block of two 3x3 convolutions follows each strided one, mirrored in the decoder. Not given: weights
(Glorot uniform).
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise
from normscan.networks.normalisation import BatchNorm

CITE = ["chatterjee2022"]
BOTTLENECKS = ["dense"]
PARTS = {"encoder", "decoder"}
SIDE = "multiple of 8"
MAPS = (64, 128, 256)


class Residual(nn.Module):
    """Two convolutions with batch norm beside the identity; (n, maps, h, w) -> the same."""

    def __init__(self, maps: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(maps, maps, 3, padding=1, bias=False),
            BatchNorm(maps),
            nn.LeakyReLU(),
            nn.Conv2d(maps, maps, 3, padding=1, bias=False),
            BatchNorm(maps),
        )
        self.last = nn.LeakyReLU()

    def forward(self, features: Tensor) -> Tensor:
        return self.last(features + self.main(features))


def _coarsest(size: int) -> int:
    side = size // 2 ** len(MAPS)
    if not side or size % 2 ** len(MAPS):
        raise ConfigError(f"slices.size: found {size}; network chatterjee2022 takes multiples of 8")
    return side


class Encoder(nn.Module):
    """Slices -> ``codes`` codes (n, latent)."""

    def __init__(self, contrasts: int, size: int, latent: int, codes: int):
        super().__init__()
        self.codes = codes
        layers: list[nn.Module] = []
        for inputs, outputs in zip((contrasts, *MAPS), MAPS):
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
                BatchNorm(outputs),
                nn.LeakyReLU(),
                Residual(outputs),
            ]
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
        layers: list[nn.Module] = [BatchNorm(MAPS[-1]), nn.LeakyReLU()]
        downwards = MAPS[::-1]
        for inputs, outputs in zip(downwards, downwards[1:]):
            layers += [
                Residual(inputs),
                nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
                BatchNorm(outputs),
                nn.LeakyReLU(),
            ]
        last = nn.ConvTranspose2d(MAPS[0], contrasts, 4, stride=2, padding=1)
        self.stages = nn.Sequential(*layers, Residual(MAPS[0]), last)
        self.apply(initialise)

    def forward(self, code: Tensor) -> Tensor:
        return full_precision(self.stages(self.features(code).unflatten(1, self.shape)))


def make_encoder(contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1):
    """The encoder. ConfigError: a size that is no multiple of 8."""
    return Encoder(contrasts, size, latent, codes)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The decoder."""
    return Decoder(contrasts, size, latent)
