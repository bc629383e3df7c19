"""Borders that mirror the image, with gradients that are the same bits on every device."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def mirrored(images: Tensor, reach: int) -> Tensor:
    """Images (n, c, h, w) with ``reach`` further pixels on each side, mirrored at the outermost.

    As torch's own padding, whose gradient it refuses on a GPU when bits must repeat: there it is
    made of slices.

    Parameters
    ----------
    reach : below both sides.
    """
    if images.device.type == "cpu":
        return functional.pad(images, (reach,) * 4, mode="reflect")
    return _of_slices(images, reach)


def _of_slices(images: Tensor, reach: int) -> Tensor:
    for axis in (2, 3) if reach else ():
        side = images.shape[axis]
        before = images.narrow(axis, 1, reach).flip(axis)
        after = images.narrow(axis, side - 1 - reach, reach).flip(axis)
        images = torch.cat([before, images, after], dim=axis)
    return images


class Mirror(nn.Module):
    """:func:`mirrored` as a layer."""

    def __init__(self, reach: int):
        super().__init__()
        self.reach = reach

    def forward(self, images: Tensor) -> Tensor:
        return mirrored(images, self.reach)
