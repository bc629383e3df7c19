"""Residual generator and patch critic of CycleGAN.

Source: Zhu et al. 2017, "Unpaired image-to-image translation using cycle-consistent adversarial
networks", section 4 and appendix 7.2. Generator: a 7x7 convolution, ``depth`` that halve the side
while the channels double (paper: 2, from ``width`` 64), 6 residual blocks, 9 from 256 pixels on,
and the way back up; instance norm, mirrored borders. Critic: judges patches of 70 pixels, of 34 or
16 where slices are smaller than that. Weights N(0, 0.02). Otherwise than there: the output is any
real value and no tanh, since normalised intensities have no upper end.
"""

from __future__ import annotations

from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision
from normscan.networks.padding import Mirror

CITE = {
    "zhu2017": "Zhu JY, Park T, Isola P, Efros AA. Unpaired image-to-image translation using "
    "cycle-consistent adversarial networks. Proceedings of the IEEE International Conference on "
    "Computer Vision, 2017. https://doi.org/10.1109/ICCV.2017.244"
}
PARTS = {"image_to_image", "patch_critic"}
SIDE = "multiple of 2 ** depth"
# Strided convolutions of a critic -> pixels that one of its outputs sees.
PATCHES = {3: 70, 2: 34, 1: 16}
CRITIC_WIDTH = 64


def _norm(channels: int) -> nn.GroupNorm:
    """Instance norm: each channel a group of its own. (Torch's own one leaves channels last.)"""
    return nn.GroupNorm(channels, channels, affine=False)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Block(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.main = nn.Sequential(
            Mirror(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            _norm(channels),
            nn.ReLU(),
            Mirror(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            _norm(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.main(features)


class Generator(nn.Module):
    """Images (n, inputs, size, size) -> images (n, outputs, size, size), any real value.

    Parameters
    ----------
    depth : how often the side is halved.
    width : channels at full size.
    """

    def __init__(self, inputs: int, outputs: int, size: int, depth: int, width: int):
        super().__init__()
        if depth < 1 or width < 1:
            raise ConfigError(f"depth, width: found {depth}, {width}; must be at least 1")
        # Two pixels can be mirrored by one, and have a variance.
        if size < max(4, 2 ** (depth + 1)) or size % 2**depth:
            raise ConfigError(
                f"slices.size: found {size}; network cyclegan of depth {depth} takes multiples of "
                f"{2**depth}, at least {max(4, 2 ** (depth + 1))}"
            )
        widths = [width * 2**scale for scale in range(depth + 1)]
        layers: list[nn.Module] = [Mirror(3), nn.Conv2d(inputs, width, 7, bias=False)]
        layers += [_norm(width), nn.ReLU()]
        for narrow, wide in zip(widths, widths[1:]):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False)]
            layers += [_norm(wide), nn.ReLU()]
        layers += [Block(widths[-1]) for _ in range(6 if size < 256 else 9)]
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1]):
            rise = nn.ConvTranspose2d(
                wide, narrow, 3, stride=2, padding=1, output_padding=1, bias=False
            )
            layers += [rise, _norm(narrow), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(Mirror(3), nn.Conv2d(width, outputs, 7))
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        return full_precision(self.head(self.features(images)))


class PatchCritic(nn.Module):
    """Images (n, channels, size, size) -> how real each patch looks (n, rows, columns)."""

    def __init__(self, channels: int, size: int):
        super().__init__()
        fitting = [strided for strided, patch in PATCHES.items() if patch <= size]
        if not fitting:
            raise ConfigError(
                f"slices.size: found {size}; critics of network cyclegan see patches of at least "
                f"{min(PATCHES.values())} pixels"
            )
        widths = [CRITIC_WIDTH * 2**scale for scale in range(fitting[0] + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, stride=2, padding=1)]
        layers += [nn.LeakyReLU(0.2)]
        for narrow, wide in zip(widths, widths[1:]):
            stride = 1 if wide == widths[-1] else 2
            layers += [nn.Conv2d(narrow, wide, 4, stride=stride, padding=1, bias=False)]
            layers += [_norm(wide), nn.LeakyReLU(0.2)]
        self.judge = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        return full_precision(self.judge(images)).squeeze(1)


def make_image_to_image(
    inputs: int, outputs: int, size: int, *, depth: int, width: int
) -> Generator:
    """The generator. ConfigError: a size that is no multiple of 2 to the power of ``depth``."""
    return Generator(inputs, outputs, size, depth, width)


def make_patch_critic(channels: int, size: int) -> PatchCritic:
    """The critic. ConfigError: slices that are smaller than its smallest patches."""
    return PatchCritic(channels, size)
