"""3D connected components of detections."""

from __future__ import annotations

import cc3d
import numpy as np
import pandas

# Voxels that share a corner belong to one component. Not given in Baur et al. 2021; chosen because
# lesions on coarse grids are often joined by corners only, and code of the field does the same.
CONNECTIVITY = 26
COLUMNS = [
    "component",
    "voxels",
    "volume_ml",
    "x_mm",
    "y_mm",
    "z_mm",
    "x_first",
    "y_first",
    "z_first",
    "x_last",
    "y_last",
    "z_last",
    "mean_score",
    "max_score",
]


def label(binary: np.ndarray, connectivity: int = CONNECTIVITY) -> tuple[np.ndarray, int]:
    """Connected components of a volume (x, y, z): labels 1 .. count (0 elsewhere), count.

    Parameters
    ----------
    connectivity : 6 (faces), 18 (and edges) or 26 (and corners).
    """
    return cc3d.connected_components(
        np.asarray(binary, dtype=bool).view(np.uint8), connectivity=connectivity, return_N=True
    )


def drop_small(
    detected: np.ndarray, minimum_voxels: int = 8, connectivity: int = CONNECTIVITY
) -> np.ndarray:
    """Detections (x, y, z) bool without 3D components of fewer than ``minimum_voxels``.

    Source: Baur et al. 2021, section III-C: "less than 8 voxels" are discarded.
    """
    if minimum_voxels <= 1:
        return np.asarray(detected, dtype=bool)
    labels, _ = label(detected, connectivity)
    keep = np.bincount(labels.ravel()) >= minimum_voxels
    keep[0] = False
    return keep[labels]


def component_table(
    detected: np.ndarray, score: np.ndarray, affine: np.ndarray, connectivity: int = CONNECTIVITY
) -> pandas.DataFrame:
    """One row per component, the largest first.

    Parameters
    ----------
    detected : (x, y, z) bool.
    score : (x, y, z) filtered map.
    affine : (4, 4) voxel to world, mm.

    Returns
    -------
    table : component (1, 2, ...), voxels, volume_ml, x_mm, y_mm, z_mm (centre, world RAS+),
        bounding box (first and last voxel index along each axis, both inside), mean_score,
        max_score.
    """
    labels, count = label(detected, connectivity)
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    facts = cc3d.statistics(labels) if count else {}
    rows = []
    for number in range(1, count + 1):
        box = facts["bounding_boxes"][number]
        values = score[box][labels[box] == number]
        x, y, z = (affine @ [*facts["centroids"][number], 1])[:3]
        first, last = [part.start for part in box], [part.stop - 1 for part in box]
        ends = (float(values.mean()), float(values.max()))
        centre = [round(float(one), 2) for one in (x, y, z)]
        rows.append([len(values), round(len(values) * voxel_ml, 6), *centre, *first, *last, *ends])
    rows.sort(key=lambda row: (-row[0], *row[5:8]))
    return pandas.DataFrame(
        [[number, *row] for number, row in enumerate(rows, start=1)], columns=COLUMNS
    )
