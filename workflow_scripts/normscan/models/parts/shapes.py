"""Random shapes inside of slices' foreground, one for each slice."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from normscan.models.parts.draws import Draws
from normscan.models.parts.fields import smooth_fields

# All lengths are per side of the slice. Half axes of ellipses and of turned rectangles;
# smoothness of the fields that blobs are cut from.
AXES = (0.03, 0.2)
SMOOTHNESS = (0.03, 0.1)
# Share of the foreground that blobs take.
SHARES = (0.01, 0.15)


def random_shapes(inside: Tensor, draws: Draws) -> Tensor:
    """Shapes (n, side, side), boolean: an ellipse, a turned rectangle, or blobs, equally often.

    Parameters
    ----------
    inside : the foreground (n, side, side), boolean; shapes lie in it, and of no foreground is
        none.
    """
    kind = draws.whole(0, 3, len(inside))[:, None, None]
    pixels = _pixels(inside, draws)
    return torch.where(kind == 2, blobs(inside, draws), _figures(pixels, kind, draws) & inside)


def blobs(inside: Tensor, draws: Draws) -> Tensor:
    """Where smooth random fields are highest (n, side, side), so much of the foreground."""
    count, side = len(inside), inside.shape[-1]
    fields = smooth_fields(draws.uniform(*SMOOTHNESS, count) * side, side, draws)
    heights = fields.masked_fill(~inside, -torch.inf).flatten(1)
    size = (inside.flatten(1).sum(dim=1) * draws.uniform(*SHARES, count)).long().clamp_min(1)
    level = heights.sort(dim=1, descending=True).values.gather(1, size[:, None])
    return ((heights > level) & (heights > -torch.inf)).view_as(inside)


def _figures(pixels: tuple[Tensor, Tensor], kind: Tensor, draws: Draws) -> Tensor:
    """Ellipses where ``kind`` is 0, rectangles elsewhere, around given centres and turned."""
    down, right = pixels
    count, side = len(down), down.shape[-2]
    axes = draws.uniform(*AXES, 2, count, 1, 1) * side
    angle = draws.uniform(0, torch.pi, count, 1, 1)
    along = ((down * angle.cos() + right * angle.sin()) / axes[0]).abs()
    across = ((right * angle.cos() - down * angle.sin()) / axes[1]).abs()
    round_, square = along.square() + across.square() < 1, torch.maximum(along, across) < 1
    return torch.where(kind == 0, round_, square)


def _pixels(inside: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """How far down (n, side, 1) and right (n, 1, side) pixels are of a place in the foreground."""
    row, column = random_places(inside, draws)
    place = torch.arange(inside.shape[-1], device=inside.device)
    return place[:, None] - row[:, None, None], place - column[:, None, None]


def random_places(inside: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Row and column (n,) of a random pixel of each foreground (n, h, w); 0 where there is none."""
    chances = draws.uniform(0, 1, *inside.shape).masked_fill(~inside, -1)
    found = chances.flatten(1).argmax(dim=1)
    found = torch.where(inside.flatten(1).any(dim=1), found, 0)
    width = inside.shape[-1]
    return found // width, found % width


class Boxes(NamedTuple):
    """Upright rectangles, one for each slice; no pixel of the slice's border is in any.

    Attributes
    ----------
    top, left : first row and column (n,), int64, from 1.
    height, width : rows and columns (n,), int64, from 1.
    """

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def masks(self, side: int) -> Tensor:
        """The rectangles as masks (n, side, side), boolean."""
        rows = _within(self.top, self.height, side)
        return rows[:, :, None] & _within(self.left, self.width, side)[:, None, :]


def _within(first: Tensor, length: Tensor, side: int) -> Tensor:
    step = torch.arange(side, device=first.device) - first[:, None]
    return (step >= 0) & (step < length[:, None])


def random_boxes(inside: Tensor, sides: Tensor, draws: Draws) -> Boxes:
    """Rectangles around random places of the foreground, moved to leave the border free.

    Parameters
    ----------
    inside : the foreground (n, side, side), boolean.
    sides : heights and widths (2, n) in pixels, rounded.
    """
    most = inside.shape[-1] - 2
    lengths = sides.round().long().clamp(1, most)
    middles = torch.stack(random_places(inside, draws))
    first = torch.minimum((middles - lengths // 2).clamp_min(1), most + 1 - lengths)
    return Boxes(first[0], first[1], lengths[0], lengths[1])
