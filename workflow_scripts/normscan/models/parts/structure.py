"""Structural similarity as a loss.

Source: Wang et al. 2004, Eqs. 12 to 14, with its Gaussian window (11 pixels, standard deviation
1.5) and constants; that the mean of the map enters a loss as 1 - SSIM: Bergmann et al. 2019.
"""

from __future__ import annotations

import torch
from monai.metrics.regression import compute_ssim_and_cs
from torch import Tensor

WINDOW, DEVIATION = 11, 1.5


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
        found, _ = compute_ssim_and_cs(
            slices.float(),
            others.float(),
            spatial_dims=2,
            kernel_size=(WINDOW, WINDOW),
            kernel_sigma=(DEVIATION, DEVIATION),
            data_range=data_range,
        )
    return found.flatten(1).mean(dim=1)
