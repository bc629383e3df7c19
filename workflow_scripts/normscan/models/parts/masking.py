"""Slices with squares painted over, for models that learn to fill in what is missing."""

from __future__ import annotations

import torch
from torch import Tensor


def paint_squares(slices: Tensor, squares: int, largest: float) -> Tensor:
    """Copies of slices with ``squares`` squares of noise in each.

    Source: Zimmerer et al. 2019 (reference [7] of Baur et al. 2021): squares of random size, up to
    ``largest`` times the side, at random positions, filled with noise between the slice's smallest
    and largest value. Random numbers come from torch's global generator.

    Parameters
    ----------
    slices : (n, contrasts, height, width).
    """
    count, _, height, width = slices.shape
    device = slices.device
    half = torch.rand(count, squares, 1, 1, device=device) * (largest * min(height, width) / 2)
    row = torch.rand(count, squares, 1, 1, device=device) * height
    column = torch.rand(count, squares, 1, 1, device=device) * width
    rows = torch.arange(height, device=device).view(1, 1, -1, 1) + 0.5
    columns = torch.arange(width, device=device).view(1, 1, 1, -1) + 0.5
    inside = ((rows - row).abs() <= half) & ((columns - column).abs() <= half)
    masked = inside.any(dim=1, keepdim=True)
    lowest, highest = slices.amin(dim=(1, 2, 3), keepdim=True), slices.amax((1, 2, 3), True)
    noise = lowest + torch.rand(slices.shape, device=device) * (highest - lowest)
    return torch.where(masked, noise, slices)
