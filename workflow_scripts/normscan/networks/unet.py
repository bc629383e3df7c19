"""U-Net: images to images of the same size, with what each scale knows.

Source: Ronneberger et al. 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
section 2 and Fig. 1: ``depth`` times two 3x3 convolutions with ReLU and a 2x2 max pooling,
``width`` channels at first and twice as many at every scale (paper: 4 and 64), and the same way up
by 2x2 transposed convolutions, joined with the features of that scale. Otherwise than there:
convolutions are padded, so that nothing is cropped; batch norm after each, as in most later work;
first weights Glorot uniform, the last layer's a tenth of it, as of the unified network; no dropout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise, quieten
from normscan.networks.normalisation import BatchNorm

CITE = ["ronneberger2015"]
PARTS = {"image_to_image"}
SIDE = "multiple of 2 ** depth"


def _convolutions(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False)]
        layers += [BatchNorm(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
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
        if size < 2**depth or size % 2**depth:
            raise ConfigError(
                f"slices.size: found {size}; network unet of depth {depth} takes multiples of "
                f"{2**depth}"
            )
        widths = [width * 2**scale for scale in range(depth + 1)]
        pairs = list(zip(widths, widths[1:]))
        self.down = nn.ModuleList(_convolutions(a, b) for a, b in zip((inputs, *widths), widths))
        self.rise = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.join = nn.ModuleList(_convolutions(2 * a, a) for a, _ in pairs)
        self.head = nn.Conv2d(width, outputs, 1)
        self.apply(initialise)
        quieten(self.head)

    def features(self, images: Tensor) -> Tensor:
        """What the last layer makes images of (n, width, size, size)."""
        scales = [self.down[0](images)]
        for convolutions in self.down[1:]:
            scales.append(convolutions(functional.max_pool2d(scales[-1], 2)))
        found = scales.pop()
        for rise, join in zip(reversed(self.rise), reversed(self.join)):
            found = join(torch.cat([scales.pop(), rise(found)], dim=1))
        return found

    def forward(self, images: Tensor) -> Tensor:
        return full_precision(self.head(self.features(images)))


def make_image_to_image(inputs: int, outputs: int, size: int, *, depth: int, width: int) -> UNet:
    """The network. ConfigError: a size that is no multiple of 2 to the power of ``depth``."""
    return UNet(inputs, outputs, size, depth, width)
