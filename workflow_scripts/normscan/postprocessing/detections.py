"""What segmentation and screening share: from a filtered map to detections in both spaces."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from normscan.files import save_nifti, write_tsv
from normscan.postprocessing.components import component_table, drop_small, label
from normscan.preprocessing.resample import to_native
from normscan.slices.index import ScanEntry

LOG = logging.getLogger("normscan")


def write_detections(
    filtered: np.ndarray,
    affine: np.ndarray,
    threshold: float,
    minimum_voxels: int,
    scan: ScanEntry,
    contrast: str,
    folder: Path,
) -> tuple[np.ndarray, dict[str, str]]:
    """Write a scan's detections in atlas and in native space and the table of its components.

    Components are found in atlas space, where small ones are dropped; their labels are brought to
    native space, and detections there are what has a label. So the table's native volumes are
    exactly those of the native detection.

    Parameters
    ----------
    filtered : (x, y, z) non-negative anomaly map on the slice grid.
    affine : (4, 4) of the slice grid.
    threshold : voxels above it are detected.
    minimum_voxels : smaller 3D components are dropped.
    scan : names the transforms and the native image.
    contrast : the contrast whose native grid the results are brought to.
    folder : where the files go.

    Returns
    -------
    detected, paths : the binary volume, and the files written.
    """
    detected = drop_small(filtered > threshold, minimum_voxels)
    name = scan.scan
    paths = {
        "detection": folder / f"{name}_label-anomaly_dseg.nii.gz",
        "components": folder / f"{name}_components.tsv",
        "native_map": folder / f"{name}_space-{contrast}_desc-filtered_map.nii.gz",
        "native_detection": folder / f"{name}_space-{contrast}_label-anomaly_dseg.nii.gz",
    }
    save_nifti(paths["detection"], detected, affine, np.uint8)
    volume, grid = to_native(filtered, scan, contrast, affine, "linear")
    save_nifti(paths["native_map"], volume, grid, np.float32)
    parts, _ = label(detected)
    native = np.rint(to_native(parts, scan, contrast, affine, "nearest")[0])
    save_nifti(paths["native_detection"], native > 0, grid, np.uint8)
    table = component_table(parts, filtered, affine, native, grid)
    write_tsv(paths["components"], table)
    if unseen := int((table["voxels"] == 0).sum()):
        LOG.warning(
            "%s: %d of %d components have no voxel on the grid of its %s",
            name, unseen, len(table), contrast,
        )  # fmt: skip
    return detected, {key: str(path) for key, path in paths.items()}
