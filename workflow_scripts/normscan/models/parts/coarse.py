"""Slices at a coarser resolution than they have, for models that are trained there."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from normscan.errors import ConfigError


class Coarse(nn.Module):
    """From slices to coarse ones by means over areas, and back by bicubic interpolation.

    Both are products with a matrix for each axis, whose gradients are the same bits on every
    device (torch's own interpolation has none such on a GPU).

    Parameters
    ----------
    size : side of the slices in pixels.
    resolution : side of the coarse ones; None: that of the slices, which nothing is done to.

    Attributes
    ----------
    resolution : side of the coarse slices.

    Raises
    ------
    ConfigError : the coarse slices would be finer.
    """

    shrinking: Tensor
    growing: Tensor

    def __init__(self, size: int, resolution: int | None):
        super().__init__()
        self.resolution = size if resolution is None else resolution
        if self.resolution > size:
            raise ConfigError(
                f"resolution: found {resolution}; slices have {size} pixels a side "
                "(slices.size), and a model's resolution must not be finer"
            )
        self.same = self.resolution == size
        # Follow from the arguments: no weights that a bundle would have to hold.
        for name, matrix in (
            ("shrinking", _matrix(size, self.resolution, mode="area")),
            ("growing", _matrix(self.resolution, size, mode="bicubic", align_corners=False)),
        ):
            self.register_buffer(name, matrix, persistent=False)

    def shrink(self, slices: Tensor) -> Tensor:
        """Slices (n, c, size, size) -> coarse ones (n, c, resolution, resolution)."""
        return slices if self.same else _product(self.shrinking, slices)

    def grow(self, images: Tensor) -> Tensor:
        """Coarse images (n, c, resolution, resolution) -> (n, c, size, size)."""
        return images if self.same else _product(self.growing, images)

    def expected(self, slices: Tensor, coarse: Tensor, expected: Tensor) -> Tensor:
        """What is expected of slices whose residual is the interpolated coarse one.

        Parameters
        ----------
        slices : (n, c, size, size).
        coarse, expected : coarse slices, and what a model expects of them, both (n, c, resolution,
            resolution).
        """
        return expected if self.same else slices - self.grow(coarse - expected)


def _product(matrix: Tensor, images: Tensor) -> Tensor:
    # Half precision would round the slices that errors are computed with.
    with torch.autocast(images.device.type, enabled=False):
        return matrix @ images @ matrix.T


def _matrix(before: int, after: int, **how) -> Tensor:
    """What resizing does to an axis, as a matrix (after, before): its columns are resized units."""
    return interpolate(torch.eye(before)[None, None], (after, before), **how)[0, 0]
