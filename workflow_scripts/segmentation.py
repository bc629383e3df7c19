"""What segmentation and screening share: from a filtered map to detections in both spaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normscan.files import save_nifti, write_tsv
from normscan.postprocessing.components import component_table, drop_small
from normscan.preprocessing.resample import to_native
from normscan.slices.index import ScanEntry


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
    write_tsv(paths["components"], component_table(detected, filtered, affine))
    volume, grid = to_native(filtered, scan, contrast, affine, "linear")
    save_nifti(paths["native_map"], volume, grid, np.float32)
    volume, grid = to_native(detected.astype(np.float32), scan, contrast, affine, "nearest")
    save_nifti(paths["native_detection"], volume, grid, np.uint8)
    return detected, {key: str(path) for key, path in paths.items()}
