"""Arrays aligned with the rows of a pack: what detection, filtering and scoring hand on.

A file holds the slices of some scans of one pack after each other (rows, x, y), each scan with all
rows that it has in the pack. A manifest beside it says where each scan begins. One array per shard
instead of a volume per scan: nothing is compressed, no slice without brain or lesion is stored, and
a reader maps what it needs into memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from normscan.errors import NormscanError
from normscan.files import map_array, new_array, read_json
from normscan.slices.index import ScanEntry, stack_volume

# How a kind of values is stored. What was expected, and how surely, is only looked at: half
# precision is enough.
KINDS = {
    "map": (".npy", np.float32),
    "filtered": (".npy", np.float32),
    "expected": (".expected.npy", np.float16),
    "uncertainty": (".uncertainty.npy", np.float16),
    "pseudo": (".npy", np.uint8),
}


class RowWriter:
    """Arrays beside a manifest; they are in place once the ``with`` block succeeds.

    Files are made when the first values are put: a shard without scans, or a detector that expects
    nothing, has none. Rows that get no values are 0.

    Parameters
    ----------
    manifest : path of the manifest, which the caller writes afterwards, :meth:`facts` included.
    scans : whose rows the arrays hold, in this order.
    size : pixels of a slice's side.
    """

    def __init__(self, manifest: str | Path, scans: Iterable[ScanEntry], size: int):
        self.manifest, self.size = Path(manifest), size
        self.places: dict[str, tuple[int, int]] = {}
        self.total = 0
        for scan in scans:
            self.places[scan.scan] = (self.total, scan.count)
            self.total += scan.count
        self._arrays: dict[str, np.ndarray] = {}
        self._open = ExitStack()

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *reason) -> None:
        self._open.__exit__(*reason)

    def put(self, kind: str, scan: str, values: np.ndarray, rows: Any = slice(None)) -> None:
        """Values (n, x, y) of some of a scan's rows, by default of all."""
        if kind not in self._arrays:
            suffix, dtype = KINDS[kind]
            path = self.manifest.with_suffix(suffix)
            shape = (self.total, self.size, self.size)
            self._arrays[kind] = self._open.enter_context(new_array(path, shape, dtype))
        first, count = self.places[scan]
        self._arrays[kind][first : first + count][rows] = values

    def facts(self) -> dict[str, Any]:
        """What :class:`RowReader` must find in the manifest."""
        return {
            "arrays": {
                kind: self.manifest.with_suffix(KINDS[kind][0]).name for kind in self._arrays
            },
            "scans": {
                scan: {"first": first, "count": count}
                for scan, (first, count) in self.places.items()
            },
        }


class RowReader:
    """Arrays that a manifest names.

    Parameters
    ----------
    manifest : path of the manifest; arrays stand beside it.

    Attributes
    ----------
    content : the manifest.
    scans : name -> what the manifest says of a scan.

    Raises
    ------
    NormscanError : missing, or no manifest of arrays.
    """

    def __init__(self, manifest: str | Path):
        self.path = Path(manifest)
        self.content: dict[str, Any] = read_json(manifest)
        if not {"arrays", "scans"} <= set(self.content):
            raise NormscanError(f"{manifest}: no list of maps; remove it to make it again")
        self.scans: dict[str, dict[str, Any]] = self.content["scans"]

    def has(self, kind: str) -> bool:
        """Whether there is an array of this kind."""
        return kind in self.content["arrays"]

    def rows(self, kind: str, scan: str) -> np.ndarray:
        """A scan's rows (n, x, y), memory-mapped, as they are stored.

        Raises
        ------
        NormscanError : no such array, a file that is missing or truncated, or an unknown scan.
        """
        if not self.has(kind) or scan not in self.scans:
            raise NormscanError(f"{self.path}: has no values '{kind}' of scan {scan}")
        array, first = self.array(kind), self.scans[scan]["first"]
        return array[first : first + self.scans[scan]["count"]]

    def array(self, kind: str) -> np.ndarray:
        """The rows of all scans, as of :meth:`rows`."""
        if not self.has(kind):
            raise NormscanError(f"{self.path}: has no values '{kind}'")
        path = self.path.parent / self.content["arrays"][kind]
        return map_array(path, f"remove {self.path} to make it again")

    def volume(self, kind: str, scan: ScanEntry) -> np.ndarray:
        """A scan's volume (x, y, z) float32 on the slice grid; 0 where it has no rows."""
        return stack_volume(np.asarray(self.rows(kind, scan.scan), np.float32), scan)
