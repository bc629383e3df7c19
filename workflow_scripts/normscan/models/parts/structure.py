"""Structural similarity: as a loss, and as a map of where two images differ.

Source: Wang et al. 2004, Eqs. 12 to 14, with its Gaussian window (11 pixels, standard deviation
1.5) and constants; that the mean of the map enters a loss as 1 - SSIM: Bergmann et al. 2019.
(MONAI has the same, but importing it takes a job longer than many an epoch.)
"""

from __future__ import annotations

import torch
from torch import Tensor

WINDOW, DEVIATION = 11, 1.5
# K1 and K2 of Wang et al.
CONSTANTS = (0.01, 0.03)


def structural_similarity(slices: Tensor, others: Tensor, data_range: float = 1.0) -> Tensor:
    """Mean structural similarity of each pair of slices (n,), at most 1; differentiable.

    The mean over contrasts and over the pixels whose window lies inside of the slice; other
    parameters as of :func:`similarity_map`.

    Parameters
    ----------
    slices, others : (n, channels, height, width), at least 11 pixels wide and high.
    """
    return similarity_map(slices, others, data_range).flatten(1).mean(dim=1)


def similarity_map(
    slices: Tensor,
    others: Tensor,
    data_range: float = 1.0,
    window: int = WINDOW,
    deviation: float = DEVIATION,
) -> Tensor:
    """Structural similarity around each pixel whose window lies inside, at most 1; differentiable.

    In float32: variances are small differences, which half precision would lose.

    Parameters
    ----------
    slices, others : (n, channels, height, width), at least as wide and high as the window; the
        measure is defined for intensities of at least 0.
    data_range : largest intensity.
    window : side of the Gaussian window in pixels, odd.
    deviation : standard deviation of the window in pixels, above 0.

    Returns
    -------
    similarity : (n, channels, height - window + 1, width - window + 1).
    """
    with torch.autocast(slices.device.type, enabled=False):
        x, y = slices.float(), others.float()
        moments = torch.stack([x, y, x * x, y * y, x * y])
        x_mean, y_mean, xx, yy, xy = _window_means(moments, window, deviation)
        c1, c2 = ((constant * data_range) ** 2 for constant in CONSTANTS)
        brightness = (2 * x_mean * y_mean + c1) / (x_mean**2 + y_mean**2 + c1)
        variances = xx - x_mean**2 + yy - y_mean**2
        structure = (2 * (xy - x_mean * y_mean) + c2) / (variances + c2)
        return brightness * structure


def mirrored_with_edge(images: Tensor, reach: int) -> Tensor:
    """Images (..., height, width) that go on mirrored for ``reach`` pixels beyond each border.

    The outermost pixel is repeated (d c b a | a b c d), as in SciPy and scikit-image; images may be
    smaller than ``reach``.
    """
    for axis in (-2, -1):
        size = images.shape[axis]
        places = torch.arange(-reach, size + reach, device=images.device).remainder(2 * size)
        places = torch.where(places < size, places, 2 * size - 1 - places)
        images = images.index_select(axis, places)
    return images


def _window_means(images: Tensor, window: int, deviation: float) -> Tensor:
    """Means under the Gaussian window (..., height - window + 1, width - window + 1).

    By matrix products: convolutions of single channels take several times as long on a CPU.
    """
    places = torch.arange(window, device=images.device, dtype=images.dtype) - window // 2
    weights = (-0.5 * (places / deviation) ** 2).exp()
    weights = weights / weights.sum()
    height, width = images.shape[-2:]
    return _band(weights, height) @ (images @ _band(weights, width).T)


def _band(weights: Tensor, length: int) -> Tensor:
    """Matrix (length - window + 1, length) that has the weights in each row, one place further."""
    rows = length - len(weights) + 1
    padded = torch.cat([weights, weights.new_zeros(rows)])
    return padded.repeat(rows)[: rows * length].view(rows, length)
