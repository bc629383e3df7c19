"""Random reconstructions of single slices, from numbers that depend on no other slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normscan.models.capabilities import Samples

# (place in the batch, count, generator) -> reconstructions (count, c, h, w).
Sampler = Callable[[int, int, torch.Generator], Tensor]


def sampler_of(model: Samples, batch: Tensor, options: Mapping[str, Any] | None = None) -> Sampler:
    """What samples each of the slices (n, c, h, w), which are encoded once.

    Parameters
    ----------
    options : what is handed to the model's ``decode_sample`` besides.
    """
    code, further = model.encode(batch), dict(options or {})

    def sampler(place: int, count: int, generator: torch.Generator) -> Tensor:
        if isinstance(code, tuple):
            own = tuple(_repeat(part, place, count) for part in code)
        else:
            own = _repeat(code, place, count)
        return model.decode_sample(own, generator, **further)

    return sampler


def slice_seed(seed: int, number: int) -> int:
    """Seed of a slice's random numbers; slices and seeds that are close give unrelated ones."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0])


def slice_generator(seed: int, number: int, device: torch.device) -> torch.Generator:
    """Random numbers of a slice on a device."""
    return torch.Generator(device).manual_seed(slice_seed(seed, number))


def _repeat(tensor: Tensor, place: int, count: int) -> Tensor:
    return tensor[place : place + 1].expand(count, *tensor.shape[1:])
