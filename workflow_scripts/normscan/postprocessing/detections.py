"""What segmentation and screening share: from a filtered map to detections in both spaces."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas

from normscan.files import save_nifti
from normscan.postprocessing.components import component_table, drop_small, label
from normscan.postprocessing.slice_rules import Point, binarise
from normscan.preprocessing.resample import to_native
from normscan.slices.index import ScanEntry

LOG = logging.getLogger("normscan")
ATLAS, NATIVE = "atlas", "native"
# What may be wanted: what a manifest calls one of them, and how its file's name ends.
KINDS = {
    "detections": ("detection", "label-anomaly_dseg"),
    "maps": ("map", "desc-filtered_map"),
    "reconstructions": ("reconstruction", "desc-reconstruction"),
    "uncertainties": ("uncertainty", "desc-uncertainty_map"),
}


@dataclass(frozen=True)
class Detections:
    """Detections of one scan.

    Attributes
    ----------
    atlas : bool (x, y, z) on the slice grid.
    native, native_affine : bool on the grid of the scan as it came from the scanner.
    components : one row per component (``components.COLUMNS``).
    """

    atlas: np.ndarray
    native: np.ndarray
    native_affine: np.ndarray
    components: pandas.DataFrame


def detected_voxels(
    filtered: np.ndarray, point: Point, minimum_voxels: int, affine: np.ndarray
) -> np.ndarray:
    """Detections (x, y, z) bool in a filtered map on the slice grid, small components dropped."""
    return drop_small(binarise(filtered, point, affine), minimum_voxels)


def detect_components(
    filtered: np.ndarray, point: Point, minimum_voxels: int, scan: ScanEntry, contrast: str
) -> Detections:
    """A scan's detections in atlas and in native space and the table of its components.

    Components are found in atlas space, where small ones are dropped; their labels are brought to
    native space, and detections there are what has a label. So the table's native volumes are
    exactly those of the native detection.

    Parameters
    ----------
    filtered : (x, y, z) non-negative anomaly map on the slice grid.
    point : a threshold, above which voxels are detected, or a rule per slice.
    minimum_voxels : smaller 3D components are dropped.
    scan : names the transforms and the native image.
    contrast : the contrast whose native grid the results are brought to.
    """
    affine = np.asarray(scan.affine)
    detected = detected_voxels(filtered, point, minimum_voxels, affine)
    parts, _ = label(detected)
    native, grid = to_native(parts, scan, contrast, affine, "nearest")
    native = np.rint(native)
    table = component_table(parts, filtered, affine, native, grid)
    if unseen := int((table["voxels"] == 0).sum()):
        LOG.warning(
            "%s: %d of %d components have no voxel on the grid of its %s",
            scan.scan, unseen, len(table), contrast,
        )  # fmt: skip
    return Detections(detected, native > 0, grid, table)


def write_volumes(
    folder: Path,
    scan: ScanEntry,
    contrast: str,
    wanted: Mapping[str, str],
    *,
    found: Detections | None,
    filtered: np.ndarray,
    expected: np.ndarray | None = None,
    uncertainty: np.ndarray | None = None,
) -> dict[str, str]:
    """Write those volumes of a scan that are wanted as NIfTI; what others left there is removed.

    Parameters
    ----------
    folder : where the files go.
    wanted : ``detections``, ``maps`` (filtered), ``reconstructions``, ``uncertainties`` -> none,
        native, atlas, both.
    found : None: nothing was detected, for want of an operating point.
    filtered, expected, uncertainty : (x, y, z) on the slice grid; None: there is no reconstruction,
        or only one.

    Returns
    -------
    paths : ``detection``, ``map``, ``reconstruction`` (atlas space), ``native_detection``, ...
    """
    there = {
        "detections": None if found is None else found.atlas,
        "maps": filtered,
        "reconstructions": expected,
        "uncertainties": uncertainty,
    }
    written = {}
    for kind, volume in there.items():
        key, name = KINDS[kind]
        for space in (ATLAS, NATIVE):
            entity, prefix = (f"_space-{contrast}", "native_") if space == NATIVE else ("", "")
            path = folder / f"{scan.scan}{entity}_{name}.nii.gz"
            if volume is None or wanted[kind] not in (space, "both"):
                path.unlink(missing_ok=True)
                continue
            own, affine = volume, np.asarray(scan.affine)
            if space == NATIVE and kind == "detections" and found is not None:
                own, affine = found.native, found.native_affine
            elif space == NATIVE:
                own, affine = to_native(volume, scan, contrast, affine, "linear")
            save_nifti(path, own, affine, np.uint8 if kind == "detections" else np.float32)
            written[prefix + key] = str(path)
    return written
