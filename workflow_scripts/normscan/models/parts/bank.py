"""Some of many vectors: a random choice in bounded memory, centres that cover them, the nearest."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

# Vectors that are compared with a bank at once.
AT_ONCE = 4096


def draw_vectors(parts: Iterable[Tensor], count: int) -> Tensor:
    """At most ``count`` of all rows of ``parts``, each set of them equally likely.

    Every row gets a random key, and those with the largest stay; never more than ``count`` rows and
    one part are held. Random numbers come from torch's global generator.

    Parameters
    ----------
    parts : each (n, features), at least one.
    """
    rows: Tensor | None = None
    keys: Tensor | None = None
    for part in parts:
        own = torch.rand(len(part), device=part.device, dtype=torch.float64)
        keys = own if keys is None else torch.cat([keys, own])
        rows = part if rows is None else torch.cat([rows, part])
        if len(rows) > count:
            kept = keys.topk(count).indices.sort().values
            rows, keys = rows[kept], keys[kept]
    assert rows is not None  # A training set has slices.
    return rows


def cover(vectors: Tensor, count: int) -> tuple[Tensor, float]:
    """Numbers of rows that lie close to all others: greedy k-centre.

    Source: Roth et al. 2022, Algorithm 1, which is that of Sener and Savarese 2018: the next centre
    is the row that is farthest from all before, the first one the first row. The largest distance
    is at most twice the least possible.

    Parameters
    ----------
    vectors : (n, features).
    count : of centres; fewer come out where there are fewer different rows.

    Returns
    -------
    chosen, radius : numbers (at most count,), and the largest distance of a row to its centre.
    """
    chosen = [0]
    distance = (vectors - vectors[0]).norm(dim=1)
    while len(chosen) < count:
        farthest = int(distance.argmax())
        if not distance[farthest]:
            break
        chosen.append(farthest)
        distance = torch.minimum(distance, (vectors - vectors[farthest]).norm(dim=1))
    return torch.tensor(chosen, device=vectors.device), float(distance.max())


def project(vectors: Tensor, dimensions: int) -> Tensor:
    """Random projection (n, dimensions) that about keeps distances (Johnson-Lindenstrauss).

    Vectors that are no longer than that stay as they are. Random numbers come from torch's global
    generator.
    """
    length = vectors.shape[1]
    if length <= dimensions:
        return vectors
    directions = torch.randn(length, dimensions, device=vectors.device) / dimensions**0.5
    return vectors @ directions


def nearest_distance(vectors: Tensor, bank: Tensor) -> Tensor:
    """Euclidean distance of each vector (n, features) to the nearest of a bank (m, features)."""
    return torch.cat([_nearest(part, bank) for part in vectors.split(AT_ONCE)])


def _nearest(vectors: Tensor, bank: Tensor) -> Tensor:
    # By matrix products it is known fast which one is nearest, but not how near exactly.
    nearest = torch.cdist(vectors, bank).argmin(dim=1)
    return (vectors - bank[nearest]).norm(dim=1)
