"""Seamless pasting by Poisson's equation, solved exactly in a rectangle of each slice at once.

Source: Perez et al. 2003, "Poisson image editing": inside of the rectangle the image has the
gradients of what is pasted, at its border the intensities of the slice. In a rectangle the discrete
equation (five points) is diagonal in sines; here the sines of every slice are those of its own
rectangle, so that a few matrix products solve all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from normscan.models.parts.shapes import Boxes


def pasted(slices: Tensor, source: Tensor, boxes: Boxes, both: Tensor) -> Tensor:
    """Slices (n, c, side, side) with the gradients of ``source`` inside of the rectangles.

    Parameters
    ----------
    both : where neither is background (n, side, side); elsewhere gradients are the slices' own.
    """
    own, new = differences(slices), differences(source)
    return _with_gradients(slices, boxes, both, [b - a for a, b in zip(own, new)])


def interpolated(
    slices: Tensor, source: Tensor, boxes: Boxes, both: Tensor, factor: Tensor
) -> Tensor:
    """Slices in whose rectangles the stronger of two scaled gradients is followed.

    Source: Tan et al. 2021, section 2 (Poisson image interpolation): those of the slice times 1 -
    ``factor`` and those of the source times ``factor``. The stronger is taken of each difference of
    neighbouring pixels.

    Parameters
    ----------
    both : as of :func:`pasted`.
    factor : (n, 1, 1, 1), in 0..1.
    """
    changes = []
    for own, new in zip(differences(slices), differences(source)):
        kept, brought = (1 - factor) * own, factor * new
        changes.append(torch.where(brought.abs() > kept.abs(), brought, kept) - own)
    return _with_gradients(slices, boxes, both, changes)


def _with_gradients(
    slices: Tensor, boxes: Boxes, both: Tensor, changes: Sequence[Tensor]
) -> Tensor:
    """Slices whose differences change so, as far as both neighbours are of ``both``."""
    mask = both[:, None]
    down = functional.pad(mask[..., 1:, :] & mask[..., :-1, :], (0, 0, 0, 1))
    right = functional.pad(mask[..., 1:] & mask[..., :-1], (0, 1))
    return slices + solve(divergence(changes[0] * down, changes[1] * right), boxes)


def differences(images: Tensor) -> tuple[Tensor, Tensor]:
    """Next pixel minus this one, down and right; 0 at the last row and column."""
    down = functional.pad(images[..., 1:, :] - images[..., :-1, :], (0, 0, 0, 1))
    right = functional.pad(images[..., 1:] - images[..., :-1], (0, 1))
    return down, right


def divergence(down: Tensor, right: Tensor) -> Tensor:
    """What flows out of each pixel; of :func:`differences` it is the Laplacian of five points."""
    above = functional.pad(down[..., :-1, :], (0, 0, 1, 0))
    before = functional.pad(right[..., :-1], (1, 0))
    return down - above + right - before


def solve(laplacian: Tensor, boxes: Boxes) -> Tensor:
    """Images (n, c, side, side) with this Laplacian inside of the rectangles, and 0 outside."""
    side = laplacian.shape[-1]
    # (Half precision would be lost in sums of many sines.)
    with torch.autocast(laplacian.device.type, enabled=False):
        rows, bent_down = _sines(boxes.top, boxes.height, side)
        columns, bent_right = _sines(boxes.left, boxes.width, side)
        waves = rows.mT @ laplacian.float() @ columns
        waves = waves / (bent_down[:, None, :, None] + bent_right[:, None, None, :])
        return rows @ waves @ columns.mT


def _sines(first: Tensor, length: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Orthonormal sines that are 0 from a stretch's ends on, and their second differences.

    Parameters
    ----------
    first, length : of the stretches (n,).

    Returns
    -------
    sines : (n, 1, side, waves), columns beyond a stretch's length are 0.
    bent : (n, waves), negative: what the second difference multiplies each sine by.
    """
    wave = torch.arange(1, int(length.max()) + 1, device=first.device)
    step = torch.arange(side, device=first.device) - first[:, None] + 1
    count = length[:, None]
    there = ((step >= 1) & (step <= count))[:, :, None] & (wave <= count)[:, None, :]
    angle = torch.pi * wave / (count + 1)
    sines = (step[:, :, None] * angle[:, None, :]).sin() * (2 / (count[..., None] + 1)).sqrt()
    # (Beyond a stretch's length there are no waves: any number but 0.)
    bent = torch.where(wave <= count, 2 * angle.cos() - 2, -1)
    return torch.where(there, sines, 0)[:, None], bent
