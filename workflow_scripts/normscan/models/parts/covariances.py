"""A covariance of contrasts at every pixel: lower triangles as channels, row by row.

There are a few contrasts and millions of pixels, so that everything is written out over contrasts
and done for all pixels at once, where solvers of batches of matrices take them one by one.
"""

from __future__ import annotations

import torch
from torch import Tensor


def size_of(contrasts: int) -> int:
    """Channels of a lower triangle."""
    return contrasts * (contrasts + 1) // 2


def outer(vectors: Tensor) -> Tensor:
    """(n, contrasts, ...) -> (n, channels, ...): products of each contrast with those up to it."""
    rows, columns = torch.tril_indices(vectors.shape[1], vectors.shape[1], device=vectors.device)
    return vectors[:, rows] * vectors[:, columns]


def diagonal(contrasts: int) -> list[int]:
    """Channels that are variances."""
    return [size_of(row + 1) - 1 for row in range(contrasts)]


def cholesky(covariances: Tensor, contrasts: int) -> Tensor:
    """Cholesky factors L (n, channels, ...), lower triangular, of positive definite L L'."""
    found: list[Tensor] = []
    for row in range(contrasts):
        own = size_of(row)
        for column in range(row + 1):
            other = size_of(column)
            left = covariances[:, own + column]
            for before in range(column):
                left = left - found[own + before] * found[other + before]
            found.append(left.sqrt() if row == column else left / found[other + column])
    return torch.stack(found, dim=1)


def whitened(vectors: Tensor, factors: Tensor) -> Tensor:
    """``L^-1 vectors`` (n, contrasts, ...), whose covariance is the identity."""
    found: list[Tensor] = []
    for row in range(vectors.shape[1]):
        own = size_of(row)
        left = vectors[:, row]
        for before in range(row):
            left = left - factors[:, own + before] * found[before]
        found.append(left / factors[:, own + row])
    return torch.stack(found, dim=1)
