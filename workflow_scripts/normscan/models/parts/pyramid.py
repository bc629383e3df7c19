"""Laplacian pyramids: images as bands of detail, one per scale, from which they follow exactly.

Source: Burt and Adelson 1983, "The Laplacian pyramid as a compact image code", with the binomial
kernel of five taps (their a = 0.375). At the border images are mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from normscan.models.parts.smoothing import smooth

TAPS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """Bands of images, the finest first; the last is what is left, a coarse image.

    Parameters
    ----------
    images : (n, channels, height, width), sides multiples of 2 to the power of ``levels - 1``.
    levels : number of bands, 1 or more.

    Returns
    -------
    bands : of sides 1, 1/2, 1/4, ...
    """
    bands = []
    for _ in range(levels - 1):
        coarse = reduce(images)
        bands.append(images - expand(coarse))
        images = coarse
    return [*bands, images]


def collapse(bands: Sequence[Tensor]) -> Tensor:
    """The images that bands are of: the inverse of :func:`laplacian_pyramid`."""
    images = bands[-1]
    for band in reversed(bands[:-1]):
        images = band + expand(images)
    return images


def reduce(images: Tensor) -> Tensor:
    """Smoothed images at half the side."""
    return smooth(images, TAPS)[..., ::2, ::2]


def expand(images: Tensor) -> Tensor:
    """Images at twice the side, smoothly in between."""
    *rest, height, width = images.shape
    spread = images.new_zeros(*rest, 2 * height, 2 * width)
    spread[..., ::2, ::2] = images
    # Three of four pixels were 0.
    return 4 * smooth(spread, TAPS)
