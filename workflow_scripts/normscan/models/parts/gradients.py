"""How much the edges of two images differ."""

from __future__ import annotations

from torch import Tensor


def gradient_differences(slices: Tensor, expected: Tensor) -> Tensor:
    """Gradient difference loss of each slice (n,), summed over pixels and contrasts, at least 0.

    Source: Mathieu et al. 2016, "Deep multi-scale video prediction beyond mean square error",
    Eq. 6 with alpha 1: the absolute difference between the sizes of the steps from a pixel to the
    next, down and right, of both images. It is 0 for equal images and does not see their level.

    Parameters
    ----------
    slices, expected : (n, channels, height, width).
    """
    found = slices.new_zeros(len(slices))
    for axis in (2, 3):
        steps = slices.diff(dim=axis).abs() - expected.diff(dim=axis).abs()
        found = found + steps.abs().flatten(1).sum(dim=1)
    return found
