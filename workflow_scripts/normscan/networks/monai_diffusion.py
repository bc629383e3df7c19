"""MONAI's U-Net of diffusion models: what is clean, or what is noise, in images at a known time.

Source: ``monai.networks.nets.DiffusionModelUNet`` (Pinaya et al. 2022), with the choices of
Behrendt et al. 2023 and their code: ``blocks`` residual units a scale, channels of once, twice and
twice the ``width``, residual down- and upsampling, attention at the coarser scales. A slice's own
code, where it has one, is added to the embedding of the time: there it also scales features, which
this network's units do not. The coding network is a small one (there a ResNet-50, trained before).
"""

from __future__ import annotations

import math

from monai.networks.nets import DiffusionModelUNet
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision

CITE = {
    "pinaya2022": "Pinaya WHL, Tudosiu PD, Dafflon J, et al. Brain imaging generation with latent "
    "diffusion models. DGM4MICCAI 2022, Lecture Notes in Computer Science 13609. "
    "https://doi.org/10.1007/978-3-031-18576-2_12"
}
PARTS = {"denoiser"}
SIDE = "multiple of 2 ** depth"
# Groups of the norms and channels of an attention head, where the width is a multiple of them.
GROUPS, HEAD = 32, 64


class Denoiser(nn.Module):
    """Noisy images (n, channels, size, size) at times (n,) -> images of the same shape.

    Parameters
    ----------
    width : channels at full size.
    depth : how often the side is halved; the channels are twice the width from the first time on.
    blocks : residual units of a scale.
    attention : whether all scales but the finest attend.
    code : entries of the slices' codes; None: there are none.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        width: int,
        depth: int,
        blocks: int,
        attention: bool,
        code: int | None,
    ):
        super().__init__()
        if size % 2**depth:
            raise ConfigError(
                f"slices.size: found {size}; network monai_diffusion of depth {depth} takes "
                f"multiples of {2**depth}"
            )
        widths = [width] + [2 * width] * depth
        self.network = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=channels,
            out_channels=channels,
            num_res_blocks=blocks,
            channels=widths,
            attention_levels=[False] + [attention] * depth,
            norm_num_groups=math.gcd(GROUPS, width),
            num_head_channels=math.gcd(HEAD, width),
            resblock_updown=True,
            num_class_embeds=None if code is None else 1,
        )
        self.coder = None
        if code is not None:
            self.coder = _coder(channels, width, depth, code)
            # Any module that gives what is added to the time's embedding will do for a class's.
            self.network.add_module("class_embedding", nn.Linear(code, 4 * width))

    def encode(self, slices: Tensor) -> Tensor:
        """Codes (n, code) of slices (n, channels, size, size)."""
        assert self.coder is not None
        return full_precision(self.coder(slices))

    def forward(self, noisy: Tensor, time: Tensor, code: Tensor | None = None) -> Tensor:
        return full_precision(self.network(noisy, timesteps=time, class_labels=code))


def _coder(channels: int, width: int, depth: int, code: int) -> nn.Sequential:
    """Strided convolutions, the mean over what is left, a dense layer."""
    layers: list[nn.Module] = []
    for number in range(depth + 2):
        inputs, outputs = channels if number == 0 else width, width
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            nn.GroupNorm(math.gcd(GROUPS, width), outputs),
            nn.SiLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, code))


def make_denoiser(
    channels: int,
    size: int,
    *,
    width: int,
    depth: int,
    blocks: int,
    attention: bool,
    code: int | None = None,
) -> Denoiser:
    """The network. ConfigError: a size that it does not take."""
    return Denoiser(
        channels, size, width=width, depth=depth, blocks=blocks, attention=attention, code=code
    )
