"""Batches on the device: in an order that follows from the seed, from memory where they fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from normscan.slices.batch import Batch
from normscan.slices.store import SliceStore

LOG = logging.getLogger("normscan")
# Share of a GPU's free memory that slices may take; the rest is for training.
RESIDENT_SHARE = 0.5
LOADED_AT_ONCE = 512


def epoch_order(count: int, *key: int) -> np.ndarray:
    """A permutation of ``range(count)`` that depends on nothing but ``key`` (seed, phase, epoch).

    So an epoch can be gone through again from any of its batches.
    """
    entropy = np.random.SeedSequence([abs(int(one)) for one in key])
    return np.random.Generator(np.random.Philox(entropy)).permutation(count)


def epoch_batches(count: int, batch_size: int, *key: int) -> list[np.ndarray]:
    """Numbers of each batch of one epoch.

    Every slice comes once. Batches are of nearly equal size, at most ``batch_size``: a last batch
    of one slice would spoil the statistics of batch norm.
    """
    return np.array_split(epoch_order(count, *key), max(1, -(-count // batch_size)))


def endless_numbers(count: int, start: int, length: int, *key: int) -> np.ndarray:
    """Numbers ``start`` to ``start + length`` of an endless order of ``range(count)``.

    One permutation of :func:`epoch_order` after the other, so that a stream beside the main one
    brings each of its slices equally often, however many it has, and can be taken up anywhere.
    """
    places = np.arange(start, start + length)
    passes = np.unique(places // count)
    orders = {one: epoch_order(count, *key, int(one)) for one in passes}
    return np.concatenate([orders[one][places[places // count == one] % count] for one in passes])


class DeviceSlices:
    """Slices of a store as batches of tensors on a device, channels last.

    On a GPU all slices stay there for good when they fit; otherwise each batch is read from the
    memory-mapped packs.

    Parameters
    ----------
    resident : whether to keep all slices on the device; None: on a GPU, if they fit.
    """

    def __init__(
        self, store: SliceStore, device: torch.device | str = "cpu", resident: bool | None = None
    ):
        self.store, self.device = store, torch.device(device)
        if resident is None:
            resident = self.device.type == "cuda" and fits(store, self.device)
        self._all = self._load() if resident else None

    def __len__(self) -> int:
        return len(self.store)

    @property
    def resident(self) -> bool:
        """Whether all slices are on the device."""
        return self._all is not None

    def __call__(self, numbers: np.ndarray) -> Batch[Tensor]:
        """Slices of the given numbers."""
        if self._all is None:
            return to_device(self.store.batch(numbers), self.device)
        chosen = torch.from_numpy(np.ascontiguousarray(numbers)).to(self.device)
        return mapped(self._all, lambda tensor: _image(tensor[chosen]))

    def in_order(self, batch_size: int) -> Iterator[Batch[Tensor]]:
        """All slices in the store's order."""
        for start in range(0, len(self), batch_size):
            yield self(np.arange(start, min(start + batch_size, len(self))))

    def _load(self) -> Batch[Tensor]:
        LOG.info("keeping %d slices (%.0f MB) on the device", len(self), self.store.nbytes / 2**20)
        loaded: Batch[Tensor] | None = None
        start = 0
        for batch in self.store.batches(LOADED_AT_ONCE):
            part = mapped(batch, torch.from_numpy)
            if loaded is None:
                loaded = mapped(part, self._room)
            pairs = zip(_tensors(loaded), _tensors(part))
            for whole, own in pairs:
                whole[start : start + len(batch)] = own.to(self.device)
            start += len(batch)
        assert loaded is not None  # A store has slices.
        return loaded

    def _room(self, part: Tensor) -> Tensor:
        return torch.empty((len(self), *part.shape[1:]), dtype=part.dtype, device=self.device)


def fits(store: SliceStore, device: torch.device) -> bool:
    """Whether a store's slices fit into a GPU's free memory with room left for training."""
    free, _ = torch.cuda.mem_get_info(device)
    return store.nbytes < RESIDENT_SHARE * free


def mapped(batch: Batch, change: Callable) -> Batch:
    """A batch with every array or tensor changed; targets that are the slices stay the same object.

    Parameters
    ----------
    change : array or tensor -> array or tensor.
    """
    slices = change(batch.slices)
    return Batch(
        slices,
        slices if batch.targets is batch.slices else change(batch.targets),
        {name: change(layer) for name, layer in batch.layers.items()},
        None if batch.position is None else change(batch.position),
        {name: mapped(other, change) for name, other in batch.others.items()},
    )


def to_device(batch: Batch[np.ndarray], device: torch.device | str) -> Batch[Tensor]:
    """A batch of arrays as tensors on a device: images channels last."""
    pinned = torch.device(device).type == "cuda"

    def move(array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if pinned:
            tensor = tensor.pin_memory().to(device, non_blocking=True)
        return _image(tensor)

    return mapped(batch, move)


def _image(tensor: Tensor) -> Tensor:
    if tensor.ndim != 4:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)


def _tensors(batch: Batch[Tensor]) -> list[Tensor]:
    """Every tensor of a batch once."""
    found = [batch.slices, *batch.layers.values()]
    found += [] if batch.targets is batch.slices else [batch.targets]
    return found if batch.position is None else [*found, batch.position]
