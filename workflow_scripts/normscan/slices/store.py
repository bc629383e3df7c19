"""Random access to the slices of many packs, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from normscan.errors import NormscanError
from normscan.slices.index import differences, load_index, open_array


class SliceStore:
    """Slices of chosen scans from several packs, numbered through.

    Parameters
    ----------
    indices : index files; the arrays stand beside them. All must be packed alike.
    scans : ``cohort/scan`` names to use, in whatever order; None: all. Names that preprocessing
        excluded are left out.

    Attributes
    ----------
    contrasts, size, fingerprint : of every pack.
    ranges : ``cohort/scan`` -> (first, count) in this store.
    contents : ``cohort/scan`` -> contrast -> digest of the scan's voxels before preprocessing.

    Raises
    ------
    NormscanError : packs made differently, scans that no pack has, or no slice at all.
    """

    def __init__(self, indices: Sequence[str | Path], scans: Iterable[str] | None = None):
        wanted = None if scans is None else set(scans)
        self.ranges: dict[str, tuple[int, int]] = {}
        self.contents: dict[str, dict[str, str]] = {}
        self._arrays: list[np.ndarray] = []
        excluded: set[str] = set()
        packs, rows, total, first_path = [], [], 0, None
        for path in indices:
            index = load_index(path)
            excluded |= {f"{index.cohort}/{one['scan']}" for one in index.excluded}
            if not index.scans:
                continue
            if first_path is None:
                first_path = path
                self.contrasts, self.size = list(index.contrasts), index.size
                self.fingerprint = index.fingerprint
            elif unlike := differences(self.fingerprint, index.fingerprint):
                raise NormscanError(
                    f"{path}: packed differently from {first_path}:\n" + "\n".join(unlike)
                )
            used = [
                scan
                for scan in index.scans
                if wanted is None or f"{index.cohort}/{scan.scan}" in wanted
            ]
            if not used:
                continue
            self._arrays.append(open_array(path))
            for scan in used:
                name = f"{index.cohort}/{scan.scan}"
                if name in self.ranges:
                    raise NormscanError(f"{path}: scan {name} is in another pack already")
                own = scan.first + scan.rows_with_brain(index.min_brain_voxels)
                self.ranges[name] = (total, len(own))
                self.contents[name] = scan.content
                packs.append(np.full(len(own), len(self._arrays) - 1, np.int32))
                rows.append(own)
                total += len(own)
        missing = (wanted or set()) - set(self.ranges) - excluded
        if missing:
            raise NormscanError(
                f"no slices of {', '.join(sorted(missing))} in the packs "
                f"{', '.join(str(path) for path in indices)}; pack these scans first"
            )
        if not total:
            raise NormscanError(
                "no slices: none of the chosen scans is in the packs "
                + ", ".join(str(path) for path in indices)
            )
        self._pack, self._row = np.concatenate(packs), np.concatenate(rows)

    def __len__(self) -> int:
        return len(self._row)

    @property
    def scans(self) -> list[str]:
        """``cohort/scan`` of all scans, in order."""
        return list(self.ranges)

    @property
    def nbytes(self) -> int:
        """Bytes of all slices as float32."""
        return len(self) * len(self.contrasts) * self.size**2 * 4

    def batch(self, numbers: np.ndarray) -> np.ndarray:
        """Slices of the given numbers, in that order: float32 (n, contrasts, size, size)."""
        numbers = np.asarray(numbers)
        packs, rows = self._pack[numbers], self._row[numbers]
        found = np.empty((len(numbers), len(self.contrasts), self.size, self.size), np.float32)
        for pack in np.unique(packs):
            own = np.flatnonzero(packs == pack)
            # Ascending rows: pages are read in the order they lie on disk.
            own = own[np.argsort(rows[own], kind="stable")]
            found[own] = self._arrays[pack][rows[own]]
        return found

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """All slices in order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))
