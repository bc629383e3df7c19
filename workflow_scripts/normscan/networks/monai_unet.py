"""U-Net of MONAI: images to images of the same size, with residual units at every scale.

Source: ``monai.networks.nets.UNet`` (Kerfoot et al. 2018, "Left-ventricle quantification using
residual U-Net"), with its own choices: strided convolutions instead of pooling, two convolutions
per residual unit, instance norm, PReLU. ``depth`` is how often the side is halved, ``width`` the
channels at full size, twice as many at every scale. Its output are features of ``width`` channels,
which a 1x1 convolution makes the images of, as of :mod:`normscan.networks.unet`.
"""

from __future__ import annotations

from monai.networks.nets.unet import UNet as Residual
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision, initialise, quieten

CITE = {
    "kerfoot2018": "Kerfoot E, Clough J, Oksuz I, Lee J, King AP, Schnabel JA. Left-ventricle "
    "quantification using residual U-Net. STACOM 2018, Lecture Notes in Computer Science 11395, "
    "2019. https://doi.org/10.1007/978-3-030-12029-0_40"
}
PARTS = {"image_to_image"}
SIDE = "multiple of 2 ** depth"
# Convolutions of a residual unit.
CONVOLUTIONS = 2


class MonaiUNet(nn.Module):
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
        # Instance norm needs more than one pixel at the coarsest scale.
        if size < 2 ** (depth + 1) or size % 2**depth:
            raise ConfigError(
                f"slices.size: found {size}; network monai_unet of depth {depth} takes multiples "
                f"of {2**depth} from {2 ** (depth + 1)} on"
            )
        self.network = Residual(
            spatial_dims=2,
            in_channels=inputs,
            out_channels=width,
            channels=[width * 2**scale for scale in range(depth + 1)],
            strides=[2] * depth,
            num_res_units=CONVOLUTIONS,
        )
        self.head = nn.Conv2d(width, outputs, 1)
        self.apply(initialise)
        quieten(self.head)

    def features(self, images: Tensor) -> Tensor:
        """What the last layer makes images of (n, width, size, size)."""
        return self.network(images)

    def forward(self, images: Tensor) -> Tensor:
        return full_precision(self.head(self.features(images)))


def make_image_to_image(
    inputs: int, outputs: int, size: int, *, depth: int, width: int
) -> MonaiUNet:
    """The network. ConfigError: a size that it does not take."""
    return MonaiUNet(inputs, outputs, size, depth, width)
