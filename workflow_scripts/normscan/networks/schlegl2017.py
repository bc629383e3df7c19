"""The network published with AnoGAN: a deep convolutional GAN of half the usual width.

Source: Schlegl et al. 2017, section 3, after Radford et al. 2016: four (transposed) convolutions of
5x5 with stride 2, 512, 256, 128 and 64 channels; batch norm but on the generator's output and the
discriminator's input; ReLU in the generator, leaky ReLU of slope 0.2 in the discriminator; first
weights N(0, 0.02). Otherwise than there: the output is linear as all models' here, where theirs is
a tanh. Assumed: slices of 128x128 come from features of 8x8 (theirs were patches of 64x64 from
4x4). There is no encoder: codes are searched for.
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision
from normscan.networks.normalisation import BatchNorm

CITE = ["schlegl2017"]
PARTS = {"decoder", "discriminator"}
SIDE = "multiple of 16"
# Of the discriminator's stages; the generator's go the other way.
FILTERS = (64, 128, 256, 512)
SLOPE = 0.2
SPREAD = 0.02


def coarsest(size: int) -> int:
    """Side of the coarsest features. ConfigError: a size that is no multiple of 16."""
    if size < 16 or size % 16:
        raise ConfigError(f"slices.size: found {size}; network schlegl2017 takes multiples of 16")
    return size // 16


class Generator(nn.Module):
    """Code (n, latent) -> slices (n, contrasts, size, size), any real value."""

    def __init__(self, contrasts: int, size: int, latent: int):
        super().__init__()
        side, channels = coarsest(size), FILTERS[-1]
        self.shape = (channels, side, side)
        # (The batch norm makes a bias needless.)
        self.features = nn.Linear(latent, channels * side**2, bias=False)
        layers: list[nn.Module] = [BatchNorm(channels), nn.ReLU()]
        for filters in FILTERS[-2::-1]:
            layers += [_upwards(channels, filters, bias=False), BatchNorm(filters), nn.ReLU()]
            channels = filters
        self.stages = nn.Sequential(*layers, _upwards(channels, contrasts, bias=True))
        self.apply(_initialise)

    def forward(self, code: Tensor) -> Tensor:
        return full_precision(self.stages(self.features(code).unflatten(1, self.shape)))


class Discriminator(nn.Module):
    """Slices -> one logit each."""

    def __init__(self, contrasts: int, size: int):
        super().__init__()
        layers: list[nn.Module] = []
        channels = contrasts
        for number, filters in enumerate(FILTERS):
            layers.append(nn.Conv2d(channels, filters, 5, 2, 2, bias=not number))
            layers += [BatchNorm(filters)] if number else []
            layers.append(nn.LeakyReLU(SLOPE))
            channels = filters
        self.features = nn.Sequential(*layers)
        self.judge = nn.Linear(channels * coarsest(size) ** 2, 1)
        self.apply(_initialise)

    def forward(self, slices: Tensor) -> Tensor:
        return self.judge(self.features(slices).flatten(1)).squeeze(1)


def make_decoder(contrasts: int, size: int, latent: int, bottleneck: str):
    """The generator. ConfigError: a size that is no multiple of 16."""
    return Generator(contrasts, size, latent)


def make_discriminator(contrasts: int, size: int):
    """The discriminator."""
    return Discriminator(contrasts, size)


def _upwards(inputs: int, outputs: int, bias: bool) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1, bias=bias)


def _initialise(module: nn.Module) -> None:
    """Normal weights of little spread, zero biases."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, std=SPREAD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
