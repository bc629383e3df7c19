"""Which pixels of slices are no background."""

from __future__ import annotations

from torch import Tensor


def inside(slices: Tensor) -> Tensor:
    """Pixels (n, height, width) that are no background, in which all contrasts are 0.

    Parameters
    ----------
    slices : (n, contrasts, height, width).
    """
    return (slices != 0).any(dim=1)
