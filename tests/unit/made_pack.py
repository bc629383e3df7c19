"""A slice pack of one shard, made from volumes on the slice grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normscan.files import save_nifti, write_json
from normscan.preprocessing.transforms import write_affine
from normscan.slices.index import PackIndex, ScanEntry

AFFINE = np.diag([2.0, 2, 2, 1])


def write_pack(
    folder: Path,
    scans: dict[str, dict[str, np.ndarray]],
    *,
    cohort: str = "wmh",
    min_brain_voxels: int = 1,
) -> Path:
    """Write array, layers and index; the path of the index.

    ``scans`` has the volumes ``brain``, ``lesion`` (label map) and ``image`` of each scan. Their
    native grid is the slice grid.
    """
    index = folder / "00.json"
    entries, rows, first = [], {"": [], ".brain": [], ".lesion": []}, 0
    transform = write_affine(folder / "identity.mat", np.eye(4))
    for name, volumes in scans.items():
        brain, lesion = volumes["brain"], volumes["lesion"]
        z = np.flatnonzero(((brain > 0) | (lesion > 0)).any(axis=(0, 1)))
        native = folder / f"{name}.nii.gz"
        save_nifti(native, volumes["image"], AFFINE, np.float32)
        entry = ScanEntry(
            scan=name, subject=name.removeprefix("sub-"), session="", first=first, count=len(z),
            z=z.tolist(), shape=brain.shape, affine=AFFINE.tolist(),
            brain_voxels=(brain > 0).sum(axis=(0, 1))[z].tolist(),
            lesion_voxels=(lesion > 0).sum(axis=(0, 1))[z].tolist(),
            transforms={"FLAIR": [transform]}, native={"FLAIR": str(native)},
        )  # fmt: skip
        rows[""].append(entry.slices_of(volumes["image"].astype(np.float32))[:, None])
        rows[".brain"].append(entry.slices_of(brain.astype(np.uint8)))
        rows[".lesion"].append(entry.slices_of(lesion.astype(np.uint8)))
        entries.append(entry)
        first += len(z)
    for suffix, parts in rows.items():
        np.save(index.with_suffix(f"{suffix}.npy"), np.concatenate(parts))
    settings = {"slices": {"min_brain_voxels": min_brain_voxels}}
    size = next(iter(scans.values()))["brain"].shape[0]
    pack = PackIndex(cohort, "00", size, ["FLAIR"], [], "atlas", settings, {}, entries)
    write_json(index, pack.to_json())
    return index
