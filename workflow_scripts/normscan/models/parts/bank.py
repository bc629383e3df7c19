"""Some of many vectors: a random choice in bounded memory, centres that cover them, the nearest."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

# Products of vectors and entries that are held at once (64 MB), and entries among them.
PRODUCTS, ENTRIES = 2**24, 2**14


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
    distance = _distance_to(vectors, 0)
    while len(chosen) < count:
        farthest = int(distance.argmax())
        if not distance[farthest]:
            break
        chosen.append(farthest)
        distance = torch.minimum(distance, _distance_to(vectors, farthest))
    return torch.tensor(chosen, device=vectors.device), float(distance.max())


def _distance_to(vectors: Tensor, row: int) -> Tensor:
    """Distance of each vector to one of them (n,), exactly 0 where they are equal."""
    exact = "donot_use_mm_for_euclid_dist"
    return torch.cdist(vectors, vectors[row : row + 1], compute_mode=exact).squeeze(1)


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


def nearest_distance(vectors: Tensor, bank: Tensor, neighbours: int = 1) -> Tensor:
    """Mean Euclidean distance of each vector to its nearest of a bank (n,).

    By matrix products it is known fast which entries are nearest, but not how near exactly: their
    distances are computed anew. Memory is bounded, whatever the number of vectors and of entries.

    Parameters
    ----------
    vectors : (n, features).
    bank : (m, features), at least one.
    neighbours : how many of the nearest, at least 1; of a smaller bank, all entries.
    """
    # Products of long vectors that lie close together would round their distances away.
    centre = bank.mean(dim=0)
    bank = bank - centre
    halves = bank.square().sum(dim=1) / 2
    count = min(neighbours, len(bank))
    rows = max(PRODUCTS // min(len(bank), ENTRIES), 1)
    return torch.cat([_nearest(part - centre, bank, halves, count) for part in vectors.split(rows)])


def _nearest(vectors: Tensor, bank: Tensor, halves: Tensor, count: int) -> Tensor:
    """As of :func:`nearest_distance`; ``halves``: half the squared length of each entry."""
    found: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(bank), ENTRIES):
        part = slice(start, start + ENTRIES)
        # Half the squared distance but for what is the same for all entries.
        order = torch.addmm(halves[part], vectors, bank[part].T, alpha=-1)
        # (For the smallest alone, argmin is several times as fast.)
        least = (
            order.min(dim=1, keepdim=True)
            if count == 1
            else order.topk(min(count, order.shape[1]), dim=1, largest=False)
        )
        found.append((least.values, least.indices + start))
    values, indices = (torch.cat(one, dim=1) for one in zip(*found))
    indices = indices.gather(1, values.topk(count, dim=1, largest=False).indices)
    # Entry by entry: all of them at once would take ``count`` times the memory of the vectors.
    distances = [(vectors - bank[own]).norm(dim=1) for own in indices.T]
    return torch.stack(distances).mean(dim=0)
