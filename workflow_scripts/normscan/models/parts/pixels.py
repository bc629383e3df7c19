"""Slices as pixels: a vector of the contrasts' intensities each."""

from __future__ import annotations

import torch
from torch import Tensor

from normscan.slices.batch import Batch


def pixels(slices: Tensor) -> Tensor:
    """(n, contrasts, rows, columns) -> (n rows columns, contrasts)."""
    return slices.permute(0, 2, 3, 1).flatten(0, 2)


def in_brain(batch: Batch[Tensor]) -> Tensor:
    """Whether each pixel of a batch with the layer ``brain`` lies in it (n, rows, columns)."""
    return batch.layers["brain"] > 0


def brain_pixels(batch: Batch[Tensor]) -> Tensor:
    """The brain's pixels in a batch with the layer ``brain`` (m, contrasts)."""
    return pixels(batch.slices)[in_brain(batch).flatten()]


def brain_means(values: Tensor, batch: Batch[Tensor]) -> Tensor:
    """Means (n,) of values (n, rows, columns) over each slice's brain; 0 where it has none."""
    inside = in_brain(batch)
    total = torch.where(inside, values, 0).flatten(1).sum(dim=1)
    return total / inside.flatten(1).sum(dim=1).clamp(min=1)
