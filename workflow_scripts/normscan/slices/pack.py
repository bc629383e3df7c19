"""Packing: axial slices of one shard in a memory-mapped array, with layers and an index.

Every slice that has brain or lesion voxels is packed: what a skull stripping cut off of a lesion is
part of the truth. Which slices are trained on or searched for anomalies is chosen later by the
numbers of voxels that the index gives (``min_brain_voxels``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from normscan.errors import ConfigError, ScanError
from normscan.files import file_digest, new_array, write_json
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.volumes import Prepared
from normscan.slices.grid import SliceGrid, slice_grid, upright
from normscan.slices.index import (
    PackIndex,
    ScanEntry,
    differences,
    layer_path,
    load_index,
    open_array,
    open_layer,
    stack_volume,
)

__all__ = [
    "PackIndex",
    "ScanEntry",
    "differences",
    "load_index",
    "open_array",
    "open_layer",
    "pack_shard",
    "stack_volume",
]

LOG = logging.getLogger("normscan")
SETTINGS = {"size": 128, "field_of_view": None, "min_brain_voxels": 1}
ALLOWED = {
    "size": "8..2048",
    "field_of_view": "10..1000",
    "min_brain_voxels": "1..",
}
MEANING = {
    "size": "side of a slice [pixels]",
    "field_of_view": "side of a slice; null: the larger side of the atlas's grid [mm]",
    "min_brain_voxels": "slices with fewer are packed, but not used [voxels]",
}


@dataclass(frozen=True)
class _Common:
    """What all scans of a shard share: their grid and the slice grid that follows from it."""

    source: Grid
    slices: SliceGrid


def pack_shard(
    manifest: dict[str, Any],
    array_path: Path,
    index_path: Path,
    *,
    contrasts: Sequence[str],
    fingerprint: dict[str, Any],
    size: int = 128,
    field_of_view: float | None = None,
    min_brain_voxels: int = 1,
    anatomy_classes: Mapping[str, Any] | None = None,
) -> PackIndex:
    """Write ``{shard}.npy``, its layers beside it, and ``{shard}.json``, which names them.

    The layers ``brain`` and ``lesion`` are always there, ``anatomy`` where label maps are given and
    ``tissue`` where preprocessing made it. So the workflow declares the first two as outputs; the
    others are known by the index, which is written last and holds their digests (as
    reconstructions are beside the manifest of maps).

    One volume is in memory at a time. Neither crop nor size depends on the scans: a scan gives the
    same slices in whatever cohort it is.

    Parameters
    ----------
    manifest : of the last preprocessing step.
    array_path : float32 array (slices, contrasts, x, y); ``plt.imshow(slice.T, origin="lower")``
        shows the patient's left on the left, the front at the top.
    index_path : see :class:`~normscan.slices.index.PackIndex`; layers get its name as well.
    contrasts : channels in order.
    fingerprint : how the scans were made; models refuse scans of another one.
    size, field_of_view, min_brain_voxels : see ``SETTINGS``.
    anatomy_classes : class -> label or labels of the label maps; the layer numbers the classes from
        1 in this order. A scan without a map has none of them.

    Raises
    ------
    ScanError : brain mask missing or empty, images or masks on unequal grids.
    NormscanError : a contrast is missing, or a file cannot be read.
    ConfigError : impossible settings.
    """
    _check_settings(size, field_of_view, min_brain_voxels)
    scans = [Prepared.from_json(entry) for entry in manifest["scans"]]
    entries: list[ScanEntry] = []
    common: _Common | None = None
    labels: np.dtype = np.dtype(np.uint8)
    for scan in scans:
        source = _source_grid(scan)
        if common is None:
            common = _Common(source, slice_grid(*_upright_grid(source), size, field_of_view))
        elif not source.same_as(common.source):
            raise ScanError(
                scan.scan,
                scan.brain,
                f"is on another grid than {scans[0].scan} of the same shard",
                "register all scans to the same atlas",
            )
        first = entries[-1].first + entries[-1].count if entries else 0
        entry, largest = _entry(scan, common, first, min_brain_voxels)
        entries.append(entry)
        labels = np.promote_types(labels, largest)
    # (Without any scan there is no grid, and nothing is asked of it.)
    made: Any = common
    both = list(zip(scans, entries))
    total = sum(entry.count for entry in entries)
    with new_array(array_path, (total, len(contrasts), size, size), np.float32) as array:
        for scan, entry in both:
            for channel, contrast in enumerate(contrasts):
                array[entry.rows, channel] = entry.slices_of(_image(scan, contrast, made))
    layers: dict[str, tuple[Any, Any]] = {
        "brain": (_brain, np.uint8),
        "lesion": (_lesions, labels),
    }
    if any(scan.tissue for scan in scans):
        layers["tissue"] = (_tissue, np.uint8)
    if anatomy_classes and any(scan.anatomy for scan in scans):
        layers["anatomy"] = (partial(_anatomy, classes=anatomy_classes), np.uint8)
    for name, (volume, dtype) in layers.items():
        with new_array(layer_path(index_path, name), (total, size, size), dtype) as array:
            for scan, entry in both:
                array[entry.rows] = entry.slices_of(volume(scan, made))
    index = PackIndex(
        cohort=manifest["cohort"],
        shard=manifest["shard"],
        size=size,
        contrasts=list(contrasts),
        chain=list(manifest.get("chain", [])),
        space=manifest.get("space", ""),
        settings=fingerprint,
        grid=_grid_facts(common),
        scans=entries,
        excluded=list(manifest.get("excluded", [])),
        digest=file_digest(array_path),
        layers={name: file_digest(layer_path(index_path, name)) for name in layers},
    )
    write_json(index_path, index.to_json())
    return index


def _check_settings(size: int, field_of_view: float | None, min_brain_voxels: int) -> None:
    if size < 8:
        raise ConfigError(f"slices.size: found {size}; must be at least 8 pixels")
    if field_of_view is not None and not field_of_view > 0:
        raise ConfigError(f"slices.field_of_view: found {field_of_view}; must be above 0 mm")
    if min_brain_voxels < 1:
        raise ConfigError(f"slices.min_brain_voxels: found {min_brain_voxels}; must be at least 1")


def _grid_facts(common: _Common | None) -> dict[str, Any]:
    if common is None:
        return {}
    affine = np.round(common.slices.affine, 4) + 0.0
    return {"shape": list(common.slices.shape), "affine": affine.tolist()}


def _source_grid(scan: Prepared) -> Grid:
    if not scan.brain:
        raise ScanError(
            scan.scan,
            next(iter(scan.images.values()), ""),
            "has no brain mask",
            "put the step strip_skull or find_body into the protocol's preprocessing",
        )
    return Grid.of(scan.brain)


def _upright_grid(grid: Grid) -> tuple[tuple[int, int, int], np.ndarray]:
    turned, affine = upright(np.empty(grid.shape, np.bool_), grid.affine)
    return turned.shape, affine


def _entry(
    scan: Prepared, common: _Common, first: int, min_brain_voxels: int
) -> tuple[ScanEntry, np.dtype]:
    """Which slices of a scan are packed, and the integers that its lesion labels need."""
    brain, lesions = _brain(scan, common), _lesions(scan, common, warn=True)
    counts = [np.count_nonzero(one > 0, axis=(0, 1)) for one in (brain, lesions)]
    if not (counts[0] >= min_brain_voxels).any():
        raise ScanError(
            scan.scan,
            scan.brain,
            f"no axial slice has {min_brain_voxels} voxels of brain or more",
            "check the skull stripping of this scan, or exclude it",
        )
    z = np.flatnonzero(counts[0] + counts[1])
    entry = ScanEntry(
        scan=scan.scan,
        subject=scan.subject,
        session=scan.session,
        first=first,
        count=len(z),
        z=z.tolist(),
        shape=common.slices.shape,
        affine=common.slices.affine.tolist(),
        brain_voxels=counts[0][z].tolist(),
        lesion_voxels=counts[1][z].tolist(),
        transforms=scan.transforms,
        native=scan.native,
        quality=scan.quality,
        content=scan.content,
    )
    small = lesions.min() >= 0 and lesions.max() < 256
    return entry, np.dtype(np.uint8 if small else np.int16)


def _brain(scan: Prepared, common: _Common) -> np.ndarray:
    return common.slices.labels(_upright(read_mask(scan.brain)[0], common))


def _lesions(scan: Prepared, common: _Common, *, warn: bool = False) -> np.ndarray:
    """Lesion labels on the slice grid; zeros for a scan without a label map."""
    if not scan.lesions:
        return np.zeros(common.slices.shape, np.int16)
    labels, grid = read_volume(scan.lesions, np.int16)
    _same_grid(scan, scan.lesions, grid, common)
    resized = common.slices.labels(_upright(labels, common))
    lost = set(np.unique(labels)) - set(np.unique(resized)) if warn else set()
    if lost:
        LOG.warning(
            "%s: %s: lesion labels %s have no voxel left on the slice grid",
            scan.scan,
            scan.lesions,
            ", ".join(str(label) for label in sorted(lost)),
        )
    return resized


def _tissue(scan: Prepared, common: _Common) -> np.ndarray:
    if not scan.tissue:
        raise ScanError(
            scan.scan,
            scan.brain,
            "has no tissue map, though other scans of its shard have",
            "remove the preprocessed scans of this shard, so that they are made again",
        )
    labels, grid = read_volume(scan.tissue, np.uint8)
    _same_grid(scan, scan.tissue, grid, common)
    return common.slices.labels(_upright(labels, common))


def _anatomy(scan: Prepared, common: _Common, classes: Mapping[str, Any]) -> np.ndarray:
    """Numbers of the classes on the slice grid, after the order of ``classes``, from 1."""
    if not scan.anatomy:
        return np.zeros(common.slices.shape, np.uint8)
    labels, grid = read_volume(scan.anatomy, np.int32)
    _same_grid(scan, scan.anatomy, grid, common)
    numbered = np.zeros(labels.shape, np.uint8)
    for number, given in enumerate(classes.values(), start=1):
        numbered[np.isin(labels, given)] = number
    return common.slices.labels(_upright(numbered, common))


def _image(scan: Prepared, contrast: str, common: _Common) -> np.ndarray:
    path = scan.image(contrast)
    volume, grid = read_volume(path)
    _same_grid(scan, path, grid, common)
    return common.slices.image(_upright(volume, common))


def _upright(volume: np.ndarray, common: _Common) -> np.ndarray:
    return upright(volume, common.source.affine)[0]


def _same_grid(scan: Prepared, path: str, grid: Grid, common: _Common) -> None:
    if not grid.same_as(common.source):
        raise ScanError(
            scan.scan,
            path,
            f"has another grid {grid.shape} than the brain mask {common.source.shape}",
            "put the step register first, which brings all contrasts to one grid",
        )
