"""Batches on the device: in an order that follows from the seed, from memory where they fit."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

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


class DeviceSlices:
    """Slices of a store as tensors on a device (n, contrasts, size, size), channels last.

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

    def __call__(self, numbers: np.ndarray) -> Tensor:
        """Slices of the given numbers."""
        if self._all is not None:
            chosen = torch.from_numpy(np.ascontiguousarray(numbers)).to(self.device)
            return self._all[chosen].contiguous(memory_format=torch.channels_last)
        return to_device(self.store.batch(numbers), self.device)

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        """All slices in the store's order."""
        for start in range(0, len(self), batch_size):
            yield self(np.arange(start, min(start + batch_size, len(self))))

    def _load(self) -> Tensor:
        LOG.info("keeping %d slices (%.0f MB) on the device", len(self), self.store.nbytes / 2**20)
        size = self.store.size
        shape = (len(self), len(self.store.contrasts), size, size)
        loaded = torch.empty(shape, device=self.device)
        start = 0
        for batch in self.store.batches(LOADED_AT_ONCE):
            loaded[start : start + len(batch)] = torch.from_numpy(batch).to(self.device)
            start += len(batch)
        return loaded


def fits(store: SliceStore, device: torch.device) -> bool:
    """Whether a store's slices fit into a GPU's free memory with room left for training."""
    free, _ = torch.cuda.mem_get_info(device)
    return store.nbytes < RESIDENT_SHARE * free


def to_device(slices: np.ndarray, device: torch.device | str) -> Tensor:
    """Slices (n, contrasts, h, w) as a float32 channels-last tensor on a device."""
    batch = torch.from_numpy(np.ascontiguousarray(slices, dtype=np.float32))
    if torch.device(device).type == "cuda":
        batch = batch.pin_memory().to(device, non_blocking=True)
    return batch.contiguous(memory_format=torch.channels_last)
