"""Packing: the axial slices with brain of one shard in one memory-mapped array with an index."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from normscan.errors import ConfigError, ScanError
from normscan.files import atomic_path, file_digest, save_nifti, write_json
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.volumes import Prepared
from normscan.slices.grid import SliceGrid, slice_grid, upright
from normscan.slices.index import (
    PackIndex,
    ScanEntry,
    differences,
    load_index,
    open_array,
    stack_volume,
)

__all__ = [
    "PackIndex",
    "ScanEntry",
    "differences",
    "load_index",
    "open_array",
    "pack_shard",
    "stack_volume",
]

LOG = logging.getLogger("normscan")
# field_of_view: mm of a slice's side, None = the larger side of the atlas's grid.
# min_brain_voxels: axial slices with fewer are left out.
SETTINGS = {"size": 128, "field_of_view": None, "min_brain_voxels": 1}
ALLOWED = {
    "size": "8..",
    "field_of_view": ">0..",
    "min_brain_voxels": "1..",
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
    folder: Path,
    *,
    contrasts: Sequence[str],
    fingerprint: dict[str, Any],
    size: int = 128,
    field_of_view: float | None = None,
    min_brain_voxels: int = 1,
) -> PackIndex:
    """Write ``{shard}.npy`` and ``{shard}.json``; brain masks and lesions on the slice grid.

    One volume is in memory at a time. Neither crop nor size depends on the scans: a scan gives the
    same slices in whatever cohort it is.

    Parameters
    ----------
    manifest : of the last preprocessing step.
    array_path : float32 array (slices, contrasts, x, y); ``plt.imshow(slice.T, origin="lower")``
        shows the patient's left on the left, the front at the top.
    index_path : see :class:`~normscan.slices.index.PackIndex`.
    folder : masks go to ``{folder}/{scan}/``.
    contrasts : channels in order.
    fingerprint : how the scans were made; models refuse scans of another one.
    size, field_of_view, min_brain_voxels : see ``SETTINGS``.

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
        entries.append(_masks(scan, common, folder, first, min_brain_voxels))
    total = sum(entry.count for entry in entries)
    with atomic_path(array_path) as temporary:
        array = _new_array(temporary, (total, len(contrasts), size, size))
        for scan, entry in zip(scans, entries):
            assert common is not None
            for channel, contrast in enumerate(contrasts):
                volume = _image(scan, contrast, common)
                array[entry.first : entry.first + entry.count, channel] = entry.slices_of(volume)
        if isinstance(array, np.memmap):
            array.flush()
        del array
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


def _new_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    if shape[0]:
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    # An empty file cannot be mapped; every scan of the shard may have been excluded.
    np.save(path, np.empty(shape, np.float32), allow_pickle=False)
    return np.empty(shape, np.float32)


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
            "put the step strip_skull into the protocol's preprocessing",
        )
    return Grid.of(scan.brain)


def _upright_grid(grid: Grid) -> tuple[tuple[int, int, int], np.ndarray]:
    turned, affine = upright(np.empty(grid.shape, np.bool_), grid.affine)
    return turned.shape, affine


def _masks(
    scan: Prepared, common: _Common, folder: Path, first: int, min_brain_voxels: int
) -> ScanEntry:
    """Write a scan's masks on the slice grid, and say which slices are packed."""
    brain = common.slices.labels(_upright(read_mask(scan.brain)[0], common))
    z = np.flatnonzero(brain.sum(axis=(0, 1)) >= min_brain_voxels)
    if not len(z):
        raise ScanError(
            scan.scan,
            scan.brain,
            f"no axial slice has {min_brain_voxels} voxels of brain or more",
            "check the skull stripping of this scan, or exclude it",
        )
    own, space = Path(folder, scan.scan), f"{scan.scan}_space-slices"
    paths = {"brain": own / f"{space}_desc-brain_mask.nii.gz"}
    save_nifti(paths["brain"], brain, common.slices.affine, np.uint8)
    if scan.lesions:
        paths["lesions"] = own / f"{space}_label-lesion_dseg.nii.gz"
        save_nifti(paths["lesions"], _lesions(scan, common), common.slices.affine)
    return ScanEntry(
        scan=scan.scan,
        subject=scan.subject,
        session=scan.session,
        first=first,
        count=len(z),
        z=z.tolist(),
        shape=common.slices.shape,
        affine=common.slices.affine.tolist(),
        **{name: str(path.absolute()) for name, path in paths.items()},
        transforms=scan.transforms,
        native=scan.native,
        quality=scan.quality,
        content=scan.content,
    )


def _lesions(scan: Prepared, common: _Common) -> np.ndarray:
    labels, grid = read_volume(scan.lesions, np.int16)
    _same_grid(scan, scan.lesions, grid, common)
    resized = common.slices.labels(_upright(labels, common))
    lost = set(np.unique(labels)) - set(np.unique(resized))
    if lost:
        LOG.warning(
            "%s: %s: lesion labels %s have no voxel left on the slice grid",
            scan.scan,
            scan.lesions,
            ", ".join(str(label) for label in sorted(lost)),
        )
    return resized.astype(np.uint8 if resized.min() >= 0 and resized.max() < 256 else np.int16)


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
            "put the step register first",
        )
