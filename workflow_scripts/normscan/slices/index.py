"""What a slice pack holds: its index, and the way between slices and volumes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from normscan.errors import NormscanError
from normscan.files import map_array, read_json

GRID = "grid"
# Layer -> the one that takes its place in packs without it.
STANDS_IN = {"anatomy": "tissue"}


@dataclass(frozen=True)
class ScanEntry:
    """One scan in a pack.

    Attributes
    ----------
    first, count : its slices are ``pack[first : first + count]``.
    z : axial positions of these slices on the slice grid: all that have brain or lesion voxels.
    shape, affine : of the slice grid; all its slices stacked make this volume (x, y, z).
    brain_voxels, lesion_voxels : of each of these slices; lesion voxels of whatever label.
    transforms, native, quality, content : as preprocessing left them.
    """

    scan: str
    subject: str
    session: str
    first: int
    count: int
    z: list[int]
    shape: tuple[int, int, int]
    affine: list[list[float]]
    brain_voxels: list[int]
    lesion_voxels: list[int]
    transforms: dict[str, list[str]] = field(default_factory=dict)
    native: dict[str, str] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)

    def slices_of(self, volume: np.ndarray) -> np.ndarray:
        """This scan's packed positions (n, x, y) of a volume (x, y, z) on the slice grid."""
        return np.ascontiguousarray(np.moveaxis(volume[:, :, self.z], 2, 0))

    @property
    def rows(self) -> slice:
        """Its rows in the pack and in everything that is aligned with it."""
        return slice(self.first, self.first + self.count)

    def rows_with_brain(self, least: int = 1) -> np.ndarray:
        """Which of its own slices (0 .. count - 1) have at least so many voxels of brain."""
        return np.flatnonzero(np.asarray(self.brain_voxels, int) >= least)


@dataclass(frozen=True)
class PackIndex:
    """Index of a pack; the array stands beside it under the same name with ``.npy``.

    Layers are integer arrays (slices, x, y) with the same rows: ``{shard}.{layer}.npy``.

    Attributes
    ----------
    settings : what the packing job was told: preprocessing chain, contrasts, slice settings.
    grid : shape and affine of the slice grid, the same for all scans.
    excluded : scans that were left out before, with reasons.
    digest : of the array's file, so that other content is another index.
    layers : name -> digest of the layer's file: ``brain`` (0 or 1), ``lesion`` (label map, 0
        where a scan has none), where label maps are given ``anatomy`` (classes from 1), and where
        preprocessing made it ``tissue`` (1 cerebrospinal fluid, 2 grey matter, 3 white matter).
    """

    cohort: str
    shard: str
    size: int
    contrasts: list[str]
    chain: list[str]
    space: str
    settings: dict[str, Any]
    grid: dict[str, Any]
    scans: list[ScanEntry]
    excluded: list[dict[str, str]] = field(default_factory=list)
    digest: str = ""
    layers: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What scans must have in common to be used with one model: settings and grid."""
        return {**self.settings, GRID: self.grid}

    @property
    def min_brain_voxels(self) -> int:
        """Slices with fewer voxels of brain are neither trained on nor searched for anomalies."""
        return self.settings.get("slices", {}).get("min_brain_voxels", 1)

    def stored_as(self, layer: str) -> str:
        """The layer that stands in for one that is asked for.

        Tissues are anatomical classes where no label maps are given.
        """
        instead = STANDS_IN.get(layer, layer)
        return instead if layer not in self.layers and instead in self.layers else layer

    def scan(self, name: str) -> ScanEntry:
        """The entry of a scan. NormscanError when the pack has none of this name."""
        for entry in self.scans:
            if entry.scan == name:
                return entry
        raise NormscanError(f"pack of cohort '{self.cohort}', shard {self.shard}: no scan {name}")

    def to_json(self) -> dict[str, Any]:
        """Plain values for the index file."""
        return {**asdict(self), "fingerprint": self.fingerprint}


def load_index(path: str | Path) -> PackIndex:
    """Read an index. NormscanError naming the file when it is missing or is no index."""
    content = read_json(path)
    try:
        known = {one.name: content[one.name] for one in fields(PackIndex) if one.name in content}
        known["scans"] = [_entry(one) for one in content["scans"]]
        return PackIndex(**known)
    except (TypeError, KeyError) as error:
        raise NormscanError(
            f"{path}: not an index of a slice pack ({error}); pack the scans again"
        ) from None


def _entry(content: dict[str, Any]) -> ScanEntry:
    values: dict[str, Any] = {**content, "shape": tuple(content["shape"])}
    return ScanEntry(**values)


def array_path(index: str | Path) -> Path:
    """The array that belongs to an index file."""
    return Path(index).with_suffix(".npy")


def open_array(index: str | Path) -> np.ndarray:
    """The memory-mapped array (slices, contrasts, x, y) beside an index file.

    Raises
    ------
    NormscanError : missing or truncated.
    """
    return map_array(array_path(index), "pack the scans again")


def layer_path(index: str | Path, name: str) -> Path:
    """A layer that belongs to an index file."""
    return Path(index).with_suffix(f".{name}.npy")


def open_layer(index: str | Path, name: str) -> np.ndarray:
    """The memory-mapped layer (slices, x, y) of a name beside an index file.

    Raises
    ------
    NormscanError : missing or truncated.
    """
    return map_array(layer_path(index, name), "pack the scans again")


def stack_volume(
    slices: np.ndarray, scan: ScanEntry, rows: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """A scan's packed slices (n, x, y) as a volume (x, y, z) on the slice grid, 0 elsewhere.

    Parameters
    ----------
    rows : which of its packed slices these are; default: all.
    """
    slices = np.asarray(slices)
    volume = np.zeros(scan.shape, dtype=slices.dtype)
    volume[:, :, np.asarray(scan.z, int)[rows]] = np.moveaxis(slices, 0, 2)
    return volume


def layer_volume(index: str | Path, name: str, scan: ScanEntry) -> np.ndarray:
    """A layer of a scan as a volume (x, y, z) on the slice grid; nothing of it is lost."""
    return stack_volume(open_layer(index, name)[scan.rows], scan)


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """How two fingerprints differ, one readable line each; empty when they agree.

    Parameters
    ----------
    expected : of the model or bundle.
    found : of the scans it is to be applied to.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        lines = []
        for key in sorted({*expected, *found}):
            place = f"{where}.{key}" if where else str(key)
            if key in expected and key in found:
                lines += differences(expected[key], found[key], place)
            else:
                lines.append(_line(place, expected.get(key, "nothing"), found.get(key, "nothing")))
        return lines
    both = isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple))
    if both and _steps(expected) and _steps(found):
        return _step_differences(expected, found, where)
    return [] if _same(expected, found) else [_line(where, expected, found)]


def _step_differences(expected: list[dict], found: list[dict], where: str) -> list[str]:
    names = [one["step"] for one in expected], [one["step"] for one in found]
    if names[0] != names[1]:
        return [_line(where, " > ".join(names[0]), " > ".join(names[1]))]
    return [
        line
        for name, one, other in zip(names[0], expected, found)
        for line in differences(one, other, f"{where}.{name}")
    ]


def _steps(values: list) -> bool:
    return any(values) and all(isinstance(one, dict) and "step" in one for one in values)


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(expected) == len(found) and all(map(_same, expected, found))
    numbers = all(
        isinstance(one, (int, float)) and not isinstance(one, bool) for one in (expected, found)
    )
    if numbers:
        return math.isclose(expected, found, rel_tol=1e-6, abs_tol=1e-4)
    return expected == found


def _line(where: str, expected: Any, found: Any) -> str:
    return f"{where}: {expected} for the model, {found} for these scans"
