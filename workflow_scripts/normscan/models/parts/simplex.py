"""Simplex noise in octaves: smooth like anatomy on every scale, not only on that of single pixels.

Source: Wyatt et al. 2022, "AnoDDPM", section 3.2, and their code: six octaves, each of half the
feature size and 0.8 of the amplitude; the kernel is that of Gustavson 2005, "Simplex noise
demystified", in two dimensions. Otherwise than there, gradients are random unit vectors at the
lattice's points instead of a few directions from a table of permutations, every slice lies
elsewhere on the lattice, and the mean variance is 1, which a diffusion's noise must have.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

OCTAVES = 6
PERSISTENCE = 0.8
# From squares to triangles and back.
SKEW, UNSKEW = (math.sqrt(3) - 1) / 2, (3 - math.sqrt(3)) / 6
# Squared distance at which a corner's kernel ends.
REACH = 0.5


class SimplexNoise(nn.Module):
    """Draws noise for slices of one size.

    It is linear in the gradients at the lattice's points, so that points and weights of every pixel
    are found once, for a canvas of which each slice is a random part.

    Parameters
    ----------
    size : side of the slices in pixels.
    largest : feature size of the first octave in pixels, at least 1.
    """

    def __init__(self, size: int, largest: float, octaves: int = OCTAVES):
        super().__init__()
        self.size, self.side = size, size + math.ceil(largest)
        self.octaves = octaves
        self.counts: list[int] = []
        variance = 0.0
        found = [_octave(self.side, largest / 2**number) for number in range(octaves)]
        amplitudes = [PERSISTENCE**number for number in range(octaves)]
        for (_, weights, _), amplitude in zip(found, amplitudes):
            # Of a random unit vector's product with d: |d|^2 / 2.
            variance += amplitude**2 * (weights.square().sum(dim=-1) / 2).sum(dim=-1).mean().item()
        for number, (points, weights, count) in enumerate(found):
            scaled = weights.movedim(0, -1).movedim(0, 1)
            scaled = scaled * (amplitudes[number] / math.sqrt(variance))
            self.register_buffer(f"points_{number}", points.T.contiguous(), persistent=False)
            self.register_buffer(f"weights_{number}", scaled.float().contiguous(), persistent=False)
            self.counts.append(count)

    def draw(self, count: int, channels: int, generator: torch.Generator | None = None) -> Tensor:
        """Noise (count, channels, size, size) of mean 0, and of variance 1 on average.

        Parameters
        ----------
        generator : on the device of this module; None: torch's global one.
        """
        device = self.get_buffer("points_0").device
        # Slices last: those of a point lie side by side and are read at once.
        canvas = torch.zeros(self.side**2, count * channels, device=device)
        for number, points in enumerate(self.counts):
            shape = (points, count * channels)
            angle = 2 * math.pi * torch.rand(shape, generator=generator, device=device)
            gradients = angle.cos(), angle.sin()
            weights = self.get_buffer(f"weights_{number}")
            for corner, where in enumerate(self.get_buffer(f"points_{number}")):
                for axis, gradient in enumerate(gradients):
                    canvas.addcmul_(gradient[where], weights[axis, corner, :, None])
        canvas = canvas.T.reshape(count, channels, self.side, self.side)
        span = torch.arange(self.size, device=device)
        first = torch.randint(
            self.side - self.size + 1, (2, count, 1), generator=generator, device=device
        )
        rows, columns = first + span
        each = torch.arange(count, device=device).view(-1, 1, 1, 1)
        channel = torch.arange(channels, device=device).view(1, -1, 1, 1)
        return canvas[each, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _octave(side: int, feature: float) -> tuple[Tensor, Tensor, int]:
    """Points (pixels, 3), weights of their gradients (pixels, 3, 2), and how many points there are.

    Parameters
    ----------
    feature : side of the lattice's squares before they are skewed, in pixels.
    """
    axis = torch.arange(side, dtype=torch.float64) / feature
    place = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).view(-1, 2)
    cell = torch.floor(place + SKEW * place.sum(dim=-1, keepdim=True))
    first = place - cell + UNSKEW * cell.sum(dim=-1, keepdim=True)
    # The triangle's middle corner is along the larger of the two.
    lower = first[:, :1] > first[:, 1:]
    middle = torch.cat([lower, ~lower], dim=-1).to(place)
    steps = torch.stack([torch.zeros_like(cell), middle, torch.ones_like(cell)], dim=1)
    away = first[:, None] - steps + UNSKEW * steps.sum(dim=-1, keepdim=True)
    kernel = (REACH - away.square().sum(dim=-1)).clamp_min(0) ** 4
    corners = (cell[:, None] + steps).long()
    known, points = torch.unique(corners.view(-1, 2), dim=0, return_inverse=True)
    return points.view(-1, 3), kernel[..., None] * away, len(known)
