"""Smooth random fields, each as smooth as is asked for; computed by FFT, so they are periodic."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from normscan.models.parts.draws import Draws

# Below any spread of a field: a flat one stays flat.
FLAT = 1e-6


def smooth_fields(sigma: Tensor, side: int, draws: Draws) -> Tensor:
    """White noise smoothed by Gaussians, as fields (..., side, side) of mean 0 and variance 1.

    Parameters
    ----------
    sigma : standard deviations of the Gaussians, pixels; one field for each.
    """
    fields = blurred(draws.normal(*sigma.shape, side, side), sigma)
    centred = fields - fields.mean(dim=(-2, -1), keepdim=True)
    spread = centred.square().mean(dim=(-2, -1), keepdim=True).sqrt()
    return centred / spread.clamp_min(FLAT)


def blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Images (..., h, w) convolved with Gaussians of ``sigma`` pixels (...), around the border."""
    height, width = images.shape[-2:]
    rows = torch.fft.fftfreq(height, device=images.device)[:, None]
    columns = torch.fft.rfftfreq(width, device=images.device)
    squared = rows.square() + columns.square()
    passed = torch.exp(-2 * (math.pi * sigma[..., None, None]).square() * squared)
    return torch.fft.irfft2(torch.fft.rfft2(images.float()) * passed, s=(height, width))
