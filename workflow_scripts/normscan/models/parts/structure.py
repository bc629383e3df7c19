"""Structural similarity as a loss.

Source: Wang et al. 2004, Eqs. 12 to 14, with its Gaussian window (11 pixels, standard deviation
1.5) and constants; that the mean of the map enters a loss as 1 - SSIM: Bergmann et al. 2019.
(MONAI has the same, but importing it takes a job longer than many an epoch.)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

WINDOW, DEVIATION = 11, 1.5
# K1 and K2 of Wang et al.
CONSTANTS = (0.01, 0.03)


def structural_similarity(slices: Tensor, others: Tensor, data_range: float = 1.0) -> Tensor:
    """Mean structural similarity of each pair of slices (n,), at most 1; differentiable.

    The mean over contrasts and over the pixels whose window lies inside of the slice. In float32:
    variances are small differences, which half precision would lose.

    Parameters
    ----------
    slices, others : (n, channels, height, width), at least 11 pixels wide and high; the measure is
        defined for intensities of at least 0.
    data_range : largest intensity.
    """
    with torch.autocast(slices.device.type, enabled=False):
        x, y = slices.float(), others.float()
        x_mean, y_mean, xx, yy, xy = _window_means(torch.stack([x, y, x * x, y * y, x * y]))
        c1, c2 = ((constant * data_range) ** 2 for constant in CONSTANTS)
        brightness = (2 * x_mean * y_mean + c1) / (x_mean**2 + y_mean**2 + c1)
        variances = xx - x_mean**2 + yy - y_mean**2
        structure = (2 * (xy - x_mean * y_mean) + c2) / (variances + c2)
        return (brightness * structure).flatten(1).mean(dim=1)


def _window_means(images: Tensor) -> Tensor:
    """Means under the Gaussian window (..., height - 10, width - 10)."""
    places = torch.arange(WINDOW, device=images.device, dtype=images.dtype) - WINDOW // 2
    weights = (-0.5 * (places / DEVIATION) ** 2).exp()
    weights = (weights / weights.sum()).view(1, 1, WINDOW, 1)
    rows = conv2d(images.reshape(-1, 1, *images.shape[-2:]), weights)
    means = conv2d(rows, weights.transpose(2, 3))
    return means.view(*images.shape[:-2], *means.shape[-2:])
