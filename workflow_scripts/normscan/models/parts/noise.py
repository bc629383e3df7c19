"""Coarse noise for models that learn to take it away: noise of single pixels would be too easy.

All of it is drawn at once for a batch, on the device of the slices. Without a generator, random
numbers come from torch's global ones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Of blobs, uniform: smallest radius (pixels), threshold (standard deviations), power.
SMALLEST_RADIUS = 1.0
THRESHOLD = (0.0, 2.0)
POWER = (0.01, 2.01)


def grid_noise(
    slices: Tensor, grid: int, sigma: float, generator: torch.Generator | None = None
) -> Tensor:
    """Gaussian noise on a coarse grid, interpolated bilinearly and moved round by a random shift.

    Source: Kascenas et al. 2022 and their code: 16 points a side, 0.2; the grid's outermost points
    are on the outermost pixels. Here each slice has a shift of its own, there a batch has one.

    Parameters
    ----------
    slices : (n, channels, height, width), what the noise is like.
    grid : points a side, at least 1.
    sigma : standard deviation at the points, in units of intensity.

    Returns
    -------
    noise : like ``slices``; between points its deviation is smaller, in the middle of four a half.
    """
    count, channels, height, width = slices.shape
    drawn = _normal(slices, (count, channels, grid, grid), generator) * sigma
    fine = functional.interpolate(drawn, (height, width), mode="bilinear", align_corners=True)
    rows = _rolled(slices, height, generator)[:, None, :, None]
    columns = _rolled(slices, width, generator)[:, None, None, :]
    each = torch.arange(count, device=slices.device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=slices.device).view(1, -1, 1, 1)
    return fine[each, channel, rows, columns]


def blob_noise(
    slices: Tensor, largest_radius: float, generator: torch.Generator | None = None
) -> Tensor:
    """Blobs of random size, sharpness and strength: G1 max(G2 - t, 0)^p.

    Source: QBAE (2026): G1, G2 smooth random fields of unit variance and radii r1, r2 ~ U(1, 17)
    pixels, t ~ U(0, 2), p ~ U(0.01, 2.01). Assumed: a radius is the standard deviation of the
    Gaussian that smooths; numbers are drawn for each slice; the form (G2, t, p) is that of all
    channels, as a lesion is in the same place in all contrasts, and its strength (G1) is each
    channel's own.

    Parameters
    ----------
    slices : (n, channels, height, width), what the noise is like.
    largest_radius : pixels, at least 1.

    Returns
    -------
    noise : like ``slices``, without unit: to be multiplied by a standard deviation of intensities.
    """
    count, channels, height, width = slices.shape
    radius, radius_of_form = (
        _uniform(slices, (SMALLEST_RADIUS, largest_radius), generator) for _ in range(2)
    )
    threshold, power = (_uniform(slices, one, generator) for one in (THRESHOLD, POWER))
    white = _normal(slices, (count, channels + 1, height, width), generator)
    strength = smooth_fields(white[:, 1:], radius)
    form = smooth_fields(white[:, :1], radius_of_form) - threshold.view(-1, 1, 1, 1)
    return strength * form.clamp_min(0) ** power.view(-1, 1, 1, 1)


def smooth_fields(white: Tensor, radius: Tensor) -> Tensor:
    """White noise smoothed by Gaussians, scaled so that every pixel has unit variance.

    Two products with matrices: radii may differ from slice to slice, and at the border, where less
    of the Gaussian lies inside, the variance is the same.

    Parameters
    ----------
    white : (n, channels, height, width), independent numbers of unit variance.
    radius : (n,), standard deviations of the Gaussians in pixels, above 0.
    """
    down, right = (_kernels(side, radius)[:, None] for side in white.shape[2:])
    return down @ white @ right.transpose(-1, -2)


def _kernels(side: int, radius: Tensor) -> Tensor:
    """Gaussians about every pixel of a line (n, side, side), each of squared sum 1."""
    place = torch.arange(side, device=radius.device, dtype=radius.dtype)
    away = (place[:, None] - place) / radius.view(-1, 1, 1)
    return functional.normalize(torch.exp(-0.5 * away.square()), dim=-1)


def _normal(like: Tensor, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    return torch.randn(shape, generator=generator, device=like.device)


def _uniform(
    like: Tensor, bounds: tuple[float, float], generator: torch.Generator | None
) -> Tensor:
    """A number for each slice (n,)."""
    low, high = bounds
    drawn = torch.rand(len(like), generator=generator, device=like.device)
    return low + (high - low) * drawn


def _rolled(like: Tensor, side: int, generator: torch.Generator | None) -> Tensor:
    """For each slice the places of a line (n, side), from a random one on and round."""
    start = torch.randint(side, (len(like), 1), generator=generator, device=like.device)
    return (start + torch.arange(side, device=like.device)) % side
