"""Packing: all axial slices with brain of a shard in one memory-mapped array with an index."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from normscan.errors import ConfigError, NormscanError
from normscan.files import atomic_path, load_nifti, read_json, save_nifti, write_json

SETTINGS = {"size": 128, "field_of_view": None, "min_brain_voxels": 1}


@dataclass(frozen=True)
class ScanEntry:
    """One scan in a pack.

    Attributes
    ----------
    first, count : its slices are ``pack[first : first + count]``.
    z : axial positions of those slices on the slice grid.
    shape, affine : of the slice grid; stacking all axial positions gives this volume.
    brain, lesions : brain mask and lesion labels on the slice grid ("" = none).
    transforms, native : how to get back to native space, by contrast.
    """

    scan: str
    subject: str
    session: str
    first: int
    count: int
    z: list[int]
    shape: list[int]
    affine: list[list[float]]
    brain: str
    lesions: str = ""
    transforms: dict[str, list[str]] = field(default_factory=dict)
    native: dict[str, str] = field(default_factory=dict)

    def slices_of(self, volume: np.ndarray) -> np.ndarray:
        """This scan's packed slices (n, rows, columns) of a volume (x, y, z) on its grid."""
        return np.ascontiguousarray(volume.transpose(2, 1, 0)[self.z])


@dataclass(frozen=True)
class PackIndex:
    """Index of a pack: what its slices are and how they were made."""

    size: int
    contrasts: list[str]
    fingerprint: dict[str, Any]
    scans: list[ScanEntry]


def pack_shard(
    manifest: dict[str, Any],
    array_path: Path,
    index_path: Path,
    folder: Path,
    *,
    contrasts: list[str],
    fingerprint: dict[str, Any],
    size: int,
    field_of_view: float | None,
    min_brain_voxels: int,
) -> PackIndex:
    """Pack the slices of a shard; one volume at a time is in memory.

    Each volume's axial slices are padded (or cropped) to a square of ``field_of_view`` mm around the
    grid's centre and resized to ``size`` x ``size``: linear with anti-aliasing for images, nearest
    neighbour for masks. Rows are y, columns are x.

    Parameters
    ----------
    manifest : of the last preprocessing step.
    array_path, index_path : ``.npy`` (slices, contrasts, size, size) float32, and its index.
    folder : masks on the slice grid are written to ``folder/{scan}``.
    fingerprint : how the scans were preprocessed; models refuse others.
    field_of_view : mm; None: the longer in-plane side of the atlas's grid.
    min_brain_voxels : an axial position is kept when it has at least as many.

    Raises
    ------
    NormscanError : a scan without a needed contrast or brain mask, or with an empty one.
    """
    if size < 8:
        raise ConfigError(f"slices.size: found {size}; must be at least 8")
    entries: list[ScanEntry] = []
    first = 0
    for scan in manifest["scans"]:
        entry = _entry(scan, first, folder, size, field_of_view, min_brain_voxels, contrasts)
        entries.append(entry)
        first += entry.count
    shape = (first, len(contrasts), size, size)
    with atomic_path(array_path) as temporary:
        pack = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        for scan, entry in zip(manifest["scans"], entries):
            for channel, contrast in enumerate(contrasts):
                volume, affine = load_nifti(scan["images"][contrast])
                resized = to_slice_grid(volume, affine, size, field_of_view, "linear")[0]
                rows = slice(entry.first, entry.first + entry.count)
                pack[rows, channel] = entry.slices_of(resized)
        pack.flush()
        del pack
    grids = {tuple(entry.shape) for entry in entries}
    if len(grids) > 1:
        raise NormscanError(f"{index_path}: scans are on different grids: {sorted(grids)}")
    index = PackIndex(size, contrasts, fingerprint, entries)
    write_json(index_path, asdict(index))
    return index


def load_index(path: str | Path) -> PackIndex:
    """Read the index of a pack."""
    content = read_json(path)
    scans = [ScanEntry(**entry) for entry in content.pop("scans")]
    return PackIndex(scans=scans, **content)


def stack_volume(slices: np.ndarray, entry: ScanEntry) -> np.ndarray:
    """Packed slices (n, rows, columns) as a volume (x, y, z) on the slice grid, zero elsewhere."""
    volume = np.zeros(tuple(entry.shape), np.float32)
    volume[:, :, entry.z] = np.asarray(slices).transpose(2, 1, 0)
    return volume


def to_slice_grid(
    volume: np.ndarray,
    affine: np.ndarray,
    size: int,
    field_of_view: float | None,
    interpolation: str,
) -> tuple[np.ndarray, np.ndarray]:
    """A volume (x, y, z) on the slice grid (size, size, z), and the grid's affine.

    Parameters
    ----------
    interpolation : ``linear`` (with a Gaussian against aliasing) or ``nearest``.
    """
    from scipy import ndimage

    voxel = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    side = field_of_view or float((np.array(volume.shape[:2]) * voxel[:2]).max())
    step = side / size / voxel[:2]
    offset = (np.array(volume.shape[:2]) - 1) / 2 - step * (size - 1) / 2
    to_old = np.diag([step[0], step[1], 1.0, 1.0])
    to_old[:2, 3] = offset
    if interpolation == "linear":
        # Half a voxel of blur per factor above one removes what the coarse grid cannot hold.
        sigma = [0.5 * np.sqrt(max(s**2 - 1, 0)) for s in step]
        volume = ndimage.gaussian_filter(volume, [*sigma, 0])
    resized = ndimage.affine_transform(
        volume,
        to_old[:3, :3],
        to_old[:3, 3],
        output_shape=(size, size, volume.shape[2]),
        order=1 if interpolation == "linear" else 0,
    )
    return resized, affine @ to_old


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Lines that say how two fingerprints differ; none when they agree."""
    if isinstance(expected, dict) and isinstance(found, dict):
        lines = []
        for key in sorted({*expected, *found}):
            path = f"{where}.{key}" if where else key
            if key not in found:
                lines.append(f"{path}: model has {expected[key]!r}, these scans have nothing")
            elif key not in expected:
                lines.append(f"{path}: model has nothing, these scans have {found[key]!r}")
            else:
                lines += differences(expected[key], found[key], path)
        return lines
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{where}[{i}]")]
    same = expected == found
    return [] if same else [f"{where}: model has {expected!r}, these scans have {found!r}"]


def _entry(scan, first, folder, size, field_of_view, min_brain_voxels, contrasts) -> ScanEntry:
    name = scan["scan"]
    for contrast in contrasts:
        if contrast not in scan["images"]:
            there = ", ".join(sorted(scan["images"]))
            raise NormscanError(f"{name}: has no {contrast} after preprocessing; it has: {there}")
    if not scan["brain"]:
        raise NormscanError(
            f"{name}: has no brain mask after preprocessing; add the step 'strip_skull'"
        )
    brain, affine = load_nifti(scan["brain"])
    brain, grid = to_slice_grid(brain, affine, size, field_of_view, "nearest")
    brain = brain > 0.5
    z = np.flatnonzero(brain.sum(axis=(0, 1)) >= max(1, min_brain_voxels)).tolist()
    if not z:
        raise NormscanError(f"{name}: {scan['brain']}: no axial slice holds brain")
    own = folder / name
    brain_path, lesion_path = own / f"{name}_desc-brain_mask.nii.gz", ""
    save_nifti(brain_path, brain, grid, np.uint8)
    if scan["lesions"]:
        labels, affine = load_nifti(scan["lesions"])
        labels, grid = to_slice_grid(np.round(labels), affine, size, field_of_view, "nearest")
        lesion_path = own / f"{name}_label-lesion_dseg.nii.gz"
        save_nifti(lesion_path, labels, grid, np.int16)
    return ScanEntry(
        scan=name,
        subject=scan["subject"],
        session=scan["session"],
        first=first,
        count=len(z),
        z=z,
        shape=list(brain.shape),
        affine=grid.tolist(),
        brain=str(brain_path),
        lesions=str(lesion_path),
        transforms=scan["transforms"],
        native=scan["native"],
    )
