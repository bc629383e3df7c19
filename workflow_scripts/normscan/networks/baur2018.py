"""The network of Baur et al. 2018 for the spatial AE and the AnoVAEGAN: a wide code of 64 channels.

Source: Baur et al. 2018, "Deep autoencoding models for unsupervised anomaly segmentation in brain
MR images" (reference [3] of Baur et al. 2021): whole slices of 256x256 to a code of 16x16x64. The
seed papers give no layer list; assumed are four stages of strided 5x5 convolutions with 64, 128,
256 and 512 filters, batch norm and leaky ReLU (0.2), a 1x1 convolution to the code, a mirrored
decoder, and a critic with the encoder's stages without batch norm.
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise
from normscan.networks.normalisation import BatchNorm

CITE = ["baur2018"]
BOTTLENECKS = ["spatial"]
PARTS = {"encoder", "decoder", "critic"}
SIDE = "multiple of 16"
FILTERS = (64, 128, 256, 512)
SLOPE = 0.2


def _stages(contrasts: int, size: int, norm: bool) -> list[nn.Module]:
    if size % 2 ** len(FILTERS):
        raise ConfigError(f"slices.size: found {size}; network baur2018 takes multiples of 16")
    layers: list[nn.Module] = []
    for inputs, outputs in zip((contrasts, *FILTERS), FILTERS):
        layers.append(nn.Conv2d(inputs, outputs, 5, stride=2, padding=2, bias=not norm))
        layers += [BatchNorm(outputs)] if norm else []
        layers.append(nn.LeakyReLU(SLOPE))
    return layers


class Encoder(nn.Module):
    """Slices -> ``codes`` codes (n, latent, size/16, size/16)."""

    def __init__(self, contrasts: int, size: int, latent: int, codes: int):
        super().__init__()
        self.codes = codes
        self.stages = nn.Sequential(*_stages(contrasts, size, norm=True))
        self.code = nn.Conv2d(FILTERS[-1], codes * latent, 1)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
        codes = self.code(self.stages(slices)).chunk(self.codes, dim=1)
        return tuple(full_precision(code) for code in codes)


class Decoder(nn.Module):
    """Code (n, latent, size/16, size/16) -> slices."""

    def __init__(self, contrasts: int, latent: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(latent, FILTERS[-1], 1)]
        upwards = FILTERS[::-1]
        for inputs, outputs in zip(upwards, (*upwards[1:], upwards[-1])):
            layers += [
                nn.ConvTranspose2d(
                    inputs, outputs, 5, stride=2, padding=2, output_padding=1, bias=False
                ),
                BatchNorm(outputs),
                nn.LeakyReLU(SLOPE),
            ]
        self.stages = nn.Sequential(*layers, nn.Conv2d(FILTERS[0], contrasts, 1))
        self.apply(initialise)

    def forward(self, code: Tensor) -> Tensor:
        return full_precision(self.stages(code))


class Critic(nn.Module):
    """Slices -> one number each."""

    def __init__(self, contrasts: int, size: int):
        super().__init__()
        self.features = nn.Sequential(*_stages(contrasts, size, norm=False))
        self.judge = nn.Linear(FILTERS[-1] * (size // 2 ** len(FILTERS)) ** 2, 1)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> Tensor:
        return self.judge(self.features(slices).flatten(1)).squeeze(1)


def make_encoder(contrasts: int, size: int, latent: int, bottleneck: str, codes: int = 1):
    """The encoder. ConfigError: a size that is no multiple of 16."""
    return Encoder(contrasts, size, latent, codes)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The decoder."""
    return Decoder(contrasts, latent)


def make_critic(contrasts: int, size: int):
    """The critic."""
    return Critic(contrasts, size)
