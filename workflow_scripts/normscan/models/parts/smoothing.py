"""Images smoothed by a kernel along both axes; at the border they are mirrored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from normscan.networks.padding import mirrored

# A Gaussian is cut off at so many standard deviations (as SciPy's by default).
REACH = 4


def smooth(images: Tensor, taps: Sequence[float]) -> Tensor:
    """Images (n, c, h, w) convolved with symmetric ``taps``, an odd number, down and across."""
    kernel = torch.tensor(taps, dtype=images.dtype, device=images.device)
    channels = images.shape[1]
    down = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    right = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    padded = mirrored(images, len(taps) // 2)
    lines = functional.conv2d(padded, down, groups=channels)
    return functional.conv2d(lines, right, groups=channels)


def gaussian_reach(sigma: float) -> int:
    """Pixels that a Gaussian of ``sigma`` pixels reaches to each side."""
    return int(REACH * sigma + 0.5)


def gaussian_taps(sigma: float) -> list[float]:
    """A Gaussian of ``sigma`` pixels, above 0, as taps that add up to 1."""
    reach = gaussian_reach(sigma)
    place = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (place / sigma).square())
    return (weights / weights.sum()).tolist()
