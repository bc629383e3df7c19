"""Residual networks of the Wasserstein GAN with gradient penalty.

Source: Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", which f-AnoGAN (Schlegl et
al. 2019) builds on, and whose blocks the constrained AAE (Chen and Konukoglu 2018) takes for its
encoder and decoder as well. Three stages halve the side while filters go from 64 to 512, one more
block stays there; layer norm, since batch norm does not go with the penalty. Going up is by nearest
neighbours, going down by means. Not given: weights (Glorot uniform).
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise

FILTERS = (64, 128, 256, 512)


class Block(nn.Module):
    """Norm, ReLU, convolution, twice, beside a shortcut; the side changes by ``scale``.

    Parameters
    ----------
    scale : -1 halves the side, 1 doubles it, 0 keeps it.
    """

    def __init__(self, inputs: int, outputs: int, scale: int):
        super().__init__()
        up = [nn.Upsample(scale_factor=2)] if scale > 0 else []
        down = [nn.AvgPool2d(2)] if scale < 0 else []
        self.main = nn.Sequential(
            nn.GroupNorm(1, inputs),
            nn.ReLU(),
            *up,
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.GroupNorm(1, outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            *down,
        )
        same = inputs == outputs and not scale
        self.shortcut = nn.Sequential(
            *([] if same else [*up, nn.Conv2d(inputs, outputs, 1), *down]),
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.main(features) + self.shortcut(features)


def coarsest(size: int) -> int:
    """Side of the coarsest features. ConfigError: a size that is no multiple of 8."""
    if size < 8 or size % 8:
        raise ConfigError(f"slices.size: found {size}; residual networks take multiples of 8")
    return size // 8


class Trunk(nn.Sequential):
    """Slices -> features (n, 512, size/8, size/8)."""

    def __init__(self, contrasts: int):
        stages = [Block(a, b, -1) for a, b in zip(FILTERS, FILTERS[1:])]
        last = Block(FILTERS[-1], FILTERS[-1], 0)
        super().__init__(nn.Conv2d(contrasts, FILTERS[0], 3, padding=1), *stages, last)


class Encoder(nn.Module):
    """Slices -> ``codes`` codes (n, latent)."""

    def __init__(self, contrasts: int, size: int, latent: int, codes: int = 1):
        super().__init__()
        self.codes = codes
        self.stages = Trunk(contrasts)
        self.code = nn.Linear(FILTERS[-1] * coarsest(size) ** 2, codes * latent)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> tuple[Tensor, ...]:
        codes = self.code(self.stages(slices).flatten(1)).chunk(self.codes, dim=1)
        return tuple(full_precision(code) for code in codes)


class Decoder(nn.Module):
    """Code (n, latent) -> slices."""

    def __init__(self, contrasts: int, size: int, latent: int):
        super().__init__()
        side = coarsest(size)
        self.shape = (FILTERS[-1], side, side)
        self.features = nn.Linear(latent, FILTERS[-1] * side**2)
        upwards = FILTERS[::-1]
        self.stages = nn.Sequential(
            Block(upwards[0], upwards[0], 0),
            *(Block(a, b, 1) for a, b in zip(upwards, upwards[1:])),
            nn.GroupNorm(1, FILTERS[0]),
            nn.ReLU(),
            nn.Conv2d(FILTERS[0], contrasts, 3, padding=1),
        )
        self.apply(initialise)

    def forward(self, code: Tensor) -> Tensor:
        return full_precision(self.stages(self.features(code).unflatten(1, self.shape)))


class Critic(nn.Module):
    """Slices -> one number each."""

    def __init__(self, contrasts: int, size: int):
        super().__init__()
        self.features = Trunk(contrasts)
        self.judge = nn.Linear(FILTERS[-1] * coarsest(size) ** 2, 1)
        self.apply(initialise)

    def forward(self, slices: Tensor) -> Tensor:
        return self.judge(self.features(slices).flatten(1)).squeeze(1)
