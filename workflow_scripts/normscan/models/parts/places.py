"""Where slices lie in their grid: numbers of slices from the positions that batches give."""

from __future__ import annotations

import torch
from torch import Tensor

from normscan.errors import NormscanError

# Positions are number / (depth - 1) in single precision. In a grid of at most this many slices, one
# that is not a whole number of steps is off by more than the tolerance, and rounding by less.
DEEPEST, TOLERANCE = 2048, 2.0e-4


def grid_depth(positions: Tensor) -> int:
    """Slices of the grid, at least 2, that positions lie in.

    It is the smallest number for which all of them are slices, so the grid's own where two
    neighbouring slices are among them.

    Parameters
    ----------
    positions : (n,), from 0, the lowest slice of the grid, to 1.

    Raises
    ------
    NormscanError : there is no such number.
    """
    steps = torch.arange(1, DEEPEST, device=positions.device, dtype=torch.float64)
    places = positions.double().unique()[:, None] * steps
    whole = ((places - places.round()).abs() < TOLERANCE).all(dim=0)
    if not whole.any():
        raise NormscanError(
            f"positions of slices ({', '.join(f'{one:g}' for one in positions.unique()[:5])}, "
            "...): they lie in no grid of slices; pack the scans again, all on one grid"
        )
    return 2 + int(whole.int().argmax())


def levels(positions: Tensor, depth: int) -> Tensor:
    """Numbers (n,) of slices in a grid of ``depth``, from 0; the nearest where one lies between."""
    return (positions.double() * (depth - 1)).round().long().clamp(0, depth - 1)
