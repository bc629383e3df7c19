"""Random access to the slices of many packs, in memory that does not grow with their number."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from normscan.errors import NormscanError
from normscan.slices.batch import Batch, View
from normscan.slices.index import (
    PackIndex,
    ScanEntry,
    differences,
    load_index,
    open_array,
    open_layer,
)
from normscan.slices.rows import RowReader
from normscan.streams import ALL, LESION_FREE

LOG = logging.getLogger("normscan")
NOWHERE = -1


class SliceStore:
    """Slices of chosen scans from several packs, numbered through.

    Parameters
    ----------
    indices : index files; the arrays stand beside them. All must be packed alike.
    scans : ``cohort/scan`` names to use, in whatever order; None: all. Names that preprocessing
        excluded are left out.
    slices : ``all`` with enough brain, or only the ``lesion_free`` among them.
    inputs, targets, neighbours, layers : as of :class:`~normscan.slices.batch.View`.
    elsewhere : layer -> manifests (:class:`~normscan.slices.rows.RowReader`) of arrays with the
        rows of the packs, one of each pack of which scans are used. All other layers stand beside
        the packs.

    Attributes
    ----------
    contrasts, size, fingerprint : of every pack.
    view : what is seen of them.
    ranges : ``cohort/scan`` -> (first, count) in this store.
    contents : ``cohort/scan`` -> contrast -> digest of the scan's voxels before preprocessing.

    Raises
    ------
    NormscanError : packs made differently, scans that no pack has, or no slice at all.
    ConfigError : contrasts or layers that the packs lack.
    """

    def __init__(
        self,
        indices: Sequence[str | Path],
        scans: Iterable[str] | None = None,
        *,
        slices: str = ALL,
        inputs: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        neighbours: int = 0,
        layers: Iterable[str] = (),
        elsewhere: Mapping[str, Iterable[str | Path]] | None = None,
    ):
        wanted = None if scans is None else set(scans)
        self.ranges: dict[str, tuple[int, int]] = {}
        self.contents: dict[str, dict[str, str]] = {}
        self._arrays: list[np.ndarray] = []
        self._layers: list[dict[str, np.ndarray]] = []
        others = {name: _by_shard(paths) for name, paths in (elsewhere or {}).items()}
        excluded: dict[str, str] = {}
        packs, rows, positions, total, first_path = [], [], [], 0, None
        for path in indices:
            index = load_index(path)
            excluded |= {f"{index.cohort}/{one['scan']}": one["reason"] for one in index.excluded}
            if not index.scans:
                continue
            if first_path is None:
                first_path = path
                self.contrasts, self.size = list(index.contrasts), index.size
                self.fingerprint = index.fingerprint
                self.view = View.of(self.contrasts, inputs, targets, neighbours, tuple(layers))
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
            self._layers.append(
                {
                    name: _made_layer(name, others[name], index, used)
                    if name in others
                    else open_layer(path, index.stored_as(name))
                    for name in self.view.layers
                }
            )
            for scan in used:
                name = f"{index.cohort}/{scan.scan}"
                if name in self.ranges:
                    raise NormscanError(f"{path}: scan {name} is in another pack already")
                own = _chosen_rows(scan, index, slices)
                self.ranges[name] = (total, len(own))
                self.contents[name] = scan.content
                packs.append(np.full(len(own), len(self._arrays) - 1, np.int32))
                rows.append(_around(scan, own, self.view.neighbours))
                positions.append(np.asarray(scan.z)[own] / max(scan.shape[2] - 1, 1))
                total += len(own)
        missing = (wanted or set()) - set(self.ranges) - set(excluded)
        if missing:
            raise NormscanError(
                f"no slices of {', '.join(sorted(missing))} in the packs "
                f"{', '.join(str(path) for path in indices)}; pack these scans first"
            )
        if not self.ranges:
            raise NormscanError(
                "no slices: none of the chosen scans is in the packs "
                + ", ".join(str(path) for path in indices)
                + _left_out(excluded, wanted)
            )
        _say_without(self.ranges, slices)
        self._pack, self._rows = np.concatenate(packs), np.concatenate(rows)
        self._position = np.concatenate(positions).astype(np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def scans(self) -> list[str]:
        """``cohort/scan`` of all scans, in order."""
        return list(self.ranges)

    @property
    def nbytes(self) -> int:
        """Bytes of all slices as float32, and of their layers."""
        shape = self.view.shape(self.size)
        channels = shape.inputs + (0 if self.view.same else shape.targets)
        return len(self) * self.size**2 * (4 * channels + 2 * len(self.view.layers))

    def rows(self, scan: str) -> np.ndarray:
        """Rows of its pack that a scan's slices are, in order."""
        first, count = self.ranges[scan]
        return self._rows[first : first + count, self.view.neighbours]

    def scan(self, scan: str) -> Batch[np.ndarray]:
        """All slices of a scan."""
        first, count = self.ranges[scan]
        return self.batch(np.arange(first, first + count))

    def batch(self, numbers: np.ndarray) -> Batch[np.ndarray]:
        """Slices of the given numbers, in that order."""
        numbers, view = np.asarray(numbers), self.view
        packs, rows = self._pack[numbers], self._rows[numbers]
        own = rows[:, view.neighbours]
        slices = np.concatenate(
            [self._read(packs, column, view.inputs) for column in rows.T], axis=1
        )
        targets = slices if view.same else self._read(packs, own, view.targets)
        layers = {name: self._read_layer(packs, own, name) for name in view.layers}
        return Batch(slices, targets, layers, self._position[numbers])

    def batches(self, size: int) -> Iterator[Batch[np.ndarray]]:
        """All slices in order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))

    def _read(self, packs: np.ndarray, rows: np.ndarray, contrasts: Sequence[str]) -> np.ndarray:
        """Float32 (n, contrasts, size, size); 0 where a row is ``NOWHERE``."""
        found = np.zeros((len(rows), len(contrasts), self.size, self.size), np.float32)
        channels = [self.contrasts.index(name) for name in contrasts]
        whole = channels == list(range(len(self.contrasts)))
        for pack, own in _by_pack(packs, rows):
            array = self._arrays[pack]
            found[own] = array[rows[own]] if whole else array[rows[own][:, None], channels]
        return found

    def _read_layer(self, packs: np.ndarray, rows: np.ndarray, name: str) -> np.ndarray:
        """Int16 (n, size, size)."""
        found = np.zeros((len(rows), self.size, self.size), np.int16)
        for pack, own in _by_pack(packs, rows):
            found[own] = self._layers[pack][name][rows[own]]
        return found


def _by_shard(manifests: Iterable[str | Path]) -> dict[tuple[str, str], RowReader]:
    """Readers by the cohort and the shard that their manifests name."""
    readers = [RowReader(path) for path in manifests]
    return {(one.content["cohort"], one.content["shard"]): one for one in readers}


def _made_layer(
    name: str,
    readers: Mapping[tuple[str, str], RowReader],
    index: PackIndex,
    scans: Sequence[ScanEntry],
) -> np.ndarray:
    """A layer (rows of the pack, x, y) that does not stand beside the pack, memory-mapped.

    Raises
    ------
    NormscanError : nothing was made for the pack, or not for all of the scans, or with other rows.
    """
    reader = readers.get((index.cohort, index.shard))
    lacking = [scan.scan for scan in scans if reader is None or scan.scan not in reader.scans]
    if reader is None or lacking:
        raise NormscanError(
            f"no layer '{name}' of {', '.join(lacking)} (cohort '{index.cohort}', shard "
            f"{index.shard})" + (f" in {reader.path}; remove it to make it again" if reader else "")
        )
    array = reader.array(name)
    total = sum(scan.count for scan in index.scans)
    if len(array) != total or any(reader.scans[one.scan]["first"] != one.first for one in scans):
        raise NormscanError(
            f"{reader.path}: its rows are not those of the pack of cohort '{index.cohort}', shard "
            f"{index.shard}; remove it to make it again"
        )
    return array


def _by_pack(packs: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Packs, and the places whose rows lie in them; ascending, as pages lie on disk."""
    for pack in np.unique(packs):
        own = np.flatnonzero((packs == pack) & (rows != NOWHERE))
        yield int(pack), own[np.argsort(rows[own], kind="stable")]


def _left_out(excluded: Mapping[str, str], wanted: set[str] | None) -> str:
    """Which of the wanted scans preprocessing or quality control left out, a line each."""
    own = [name for name in excluded if wanted is None or name in wanted]
    return "".join([":"] * bool(own) + [f"\n  - {name}: {excluded[name]}" for name in own])


def _say_without(ranges: Mapping[str, tuple[int, int]], slices: str) -> None:
    """Name the scans that give no slice of a kind: a warning, or an error when none gives any."""
    without = [name for name, (_, count) in ranges.items() if not count]
    if not without:
        return
    said = f"no {slices.replace('_', '-')} slice with enough brain in {', '.join(without)}"
    if len(without) == len(ranges):
        raise NormscanError(
            f"{said}: nothing to train on; choose other scans, or 'slices: {ALL}' for the stream"
        )
    LOG.warning("%s: left out of what is trained on", said)


def _chosen_rows(scan: ScanEntry, index: PackIndex, slices: str) -> np.ndarray:
    """A scan's slices to use, counted from its first."""
    chosen = scan.rows_with_brain(index.min_brain_voxels)
    if slices == LESION_FREE:
        chosen = chosen[np.asarray(scan.lesion_voxels)[chosen] == 0]
    return chosen


def _around(scan: ScanEntry, own: np.ndarray, neighbours: int) -> np.ndarray:
    """Rows (n, 2 neighbours + 1) of slices and of those below and above; ``NOWHERE`` outside."""
    row_at = np.full(scan.shape[2] + 2 * neighbours, NOWHERE)
    row_at[np.asarray(scan.z) + neighbours] = scan.first + np.arange(scan.count)
    window = np.arange(2 * neighbours + 1)
    return row_at[np.asarray(scan.z)[own][:, None] + window]
