"""Triplets of patches: a patch, a slightly changed one, and another of the same slice.

Source: Kobayashi et al. 2021, section II-C. All patches of a batch are taken at once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Changes(NamedTuple):
    """Largest changes of a positive patch, each drawn uniformly up to there, in both directions.

    Attributes
    ----------
    translation : pixels, in both axes. rotation : degrees. scaling, gain : shares (0.1: from 0.9 to
        1.1 times). offset : units of intensity.
    """

    translation: float
    rotation: float
    scaling: float
    gain: float
    offset: float


@torch.no_grad()
def draw_triplets(
    slices: Tensor,
    patch: int,
    count: int,
    changes: Changes,
    foreground: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Patches, positives, negatives, each (n count, channels, patch, patch); slice by slice.

    Parameters
    ----------
    slices : (n, channels, h, w), background 0.
    count : triplets of each slice; 2 count different patches must fit.
    foreground : share of pixels other than 0 that patches have, in slices that have enough such.
    generator : on the CPU; None: torch's global one of the slices' device.
    """
    places = draw_places(slices, patch, 2 * count, foreground, generator)
    own, others = places.split(count, dim=1)
    unit = torch.eye(2, device=slices.device).expand(*own.shape, 2)
    moved, matrix, gain, offset = _draw_changes(own, changes, generator)
    positives = take(slices, moved, matrix, patch)
    positives = torch.where(positives == 0, positives, positives * gain + offset)
    found = take(slices, own, unit, patch), positives, take(slices, others, unit, patch)
    anchors, positives, negatives = (one.flatten(0, 1) for one in found)
    return anchors, positives, negatives


def draw_places(
    slices: Tensor, patch: int, count: int, foreground: float, generator: torch.Generator | None
) -> Tensor:
    """First pixels (n, count, 2: row, column) of different patches, float32."""
    inside = (slices != 0).any(dim=1, keepdim=True).to(slices.dtype)
    share = functional.avg_pool2d(inside, patch, 1).squeeze(1)
    # Patches with enough foreground go before all others.
    order = uniforms(share.shape, slices.device, generator) + (share >= foreground)
    chosen = order.flatten(1).topk(count).indices
    columns = share.shape[2]
    return torch.stack([chosen // columns, chosen % columns], dim=-1).float()


def take(slices: Tensor, places: Tensor, matrix: Tensor, patch: int) -> Tensor:
    """Patches (n, count, channels, patch, patch), sampled bilinearly; beyond borders mirrored.

    Parameters
    ----------
    places : first pixels (n, count, 2).
    matrix : (n, count, 2, 2) turns and scales a patch about its middle.
    """
    half = (patch - 1) / 2
    steps = torch.arange(patch, device=slices.device) - half
    offsets = torch.cartesian_prod(steps, steps)
    points = places[:, :, None] + half + offsets @ matrix.transpose(2, 3)
    # The last axis is x, y from -1 to 1; all patches of a slice are rows of one image.
    ends = torch.tensor(slices.shape[2:], device=slices.device) - 1
    grid = (2 * points / ends - 1).flip(-1).unflatten(2, (patch, patch)).flatten(1, 2)
    found = functional.grid_sample(slices, grid, padding_mode="reflection", align_corners=True)
    return found.unflatten(2, (-1, patch)).transpose(1, 2)


def uniforms(
    shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Random numbers in [0, 1), drawn where the generator lives."""
    drawn_on = device if generator is None else generator.device
    return torch.rand(shape, generator=generator, device=drawn_on).to(device)


def _draw_changes(
    places: Tensor, changes: Changes, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places, matrices (n, count, 2, 2), gains and offsets (n, count, 1, 1, 1) of positives."""
    drawn = 2 * uniforms((*places.shape[:2], 6), places.device, generator) - 1
    moved = places + changes.translation * drawn[..., :2]
    angle = torch.deg2rad(changes.rotation * drawn[..., 2])
    scale = 1 + changes.scaling * drawn[..., 3]
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    matrix = torch.stack([cosine, -sine, sine, cosine], dim=-1).unflatten(-1, (2, 2))
    gain = 1 + changes.gain * drawn[..., 4]
    offset = changes.offset * drawn[..., 5]
    return moved, matrix, gain[..., None, None, None], offset[..., None, None, None]
