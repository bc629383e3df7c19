"""Random access to slices over the packs of many shards; memory does not grow with the cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from normscan.errors import NormscanError
from normscan.slices.pack import differences, load_index


class SliceStore:
    """Slices of chosen scans in several packs, numbered from 0.

    Parameters
    ----------
    indices : index files (``.json``) of packs; the arrays stand beside them.
    scans : ``cohort/scan`` names to use; the cohort is the index file's folder. None: all.

    Raises
    ------
    NormscanError : packs that were made differently, or no slices at all.
    """

    def __init__(self, indices: Sequence[Path], scans: Sequence[str] | None = None):
        wanted = None if scans is None else set(scans)
        self._arrays: list[np.ndarray] = []
        self.scans: list[str] = []
        self.ranges: list[tuple[int, int]] = []
        where, rows = [], []
        start = 0
        for path in map(Path, indices):
            index = load_index(path)
            if not self._arrays:
                self.contrasts, self.size = index.contrasts, index.size
                self.fingerprint = index.fingerprint
            unlike = differences(self.fingerprint, index.fingerprint)
            if unlike:
                raise NormscanError(f"{path}: packed differently: {'; '.join(unlike)}")
            self._arrays.append(np.load(path.with_suffix(".npy"), mmap_mode="r"))
            for entry in index.scans:
                name = f"{path.parent.name}/{entry.scan}"
                if wanted is None or name in wanted:
                    where.append(np.full(entry.count, len(self._arrays) - 1))
                    rows.append(np.arange(entry.first, entry.first + entry.count))
                    self.scans.append(name)
                    self.ranges.append((start, start + entry.count))
                    start += entry.count
        if not rows:
            raise NormscanError(f"no slices: none of the scans {sorted(wanted or [])} is packed")
        self._where, self._rows = np.concatenate(where), np.concatenate(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, numbers: np.ndarray) -> np.ndarray:
        """Slices (n, contrasts, size, size) float32 by number, in the order asked for."""
        numbers = np.asarray(numbers)
        found = np.empty((len(numbers), len(self.contrasts), self.size, self.size), np.float32)
        where = self._where[numbers]
        for pack in np.unique(where):
            own = where == pack
            found[own] = self._arrays[pack][self._rows[numbers[own]]]
        return found

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """All slices in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


def epoch_order(count: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of 0..count-1 that depends on seed and epoch alone, so that resume repeats it."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)
