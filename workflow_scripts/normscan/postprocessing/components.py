"""3D connected components of detections."""

from __future__ import annotations

import cc3d
import numpy as np
import pandas

# Voxels that share a corner belong to one component. Not given in Baur et al. 2021; chosen because
# lesions on coarse grids are often joined by corners only, and code of the field does the same.
CONNECTIVITY = 26
BOX = ["x_first", "y_first", "z_first", "x_last", "y_last", "z_last"]
PLACE = ["voxels", "volume_ml", "x_mm", "y_mm", "z_mm", *BOX]
COLUMNS = [
    "component",
    *PLACE,
    "mean_score",
    "max_score",
    *(f"atlas_{name}" for name in PLACE),
]


def label(binary: np.ndarray, connectivity: int = CONNECTIVITY) -> tuple[np.ndarray, int]:
    """Connected components of a volume (x, y, z): labels 1 .. count (0 elsewhere), count.

    Parameters
    ----------
    connectivity : 6 (faces), 18 (and edges) or 26 (and corners).
    """
    voxels = np.asarray(binary, dtype=bool).view(np.uint8)
    labels, count = cc3d.connected_components(voxels, connectivity=connectivity, return_N=True)  # ty: ignore[no-matching-overload]
    return labels, count


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
    parts: np.ndarray,
    score: np.ndarray,
    affine: np.ndarray,
    native: np.ndarray,
    native_affine: np.ndarray,
) -> pandas.DataFrame:
    """One row per component of a detection in atlas space, the largest in native space first.

    Parameters
    ----------
    parts : (x, y, z) components in atlas space, labelled 1 .. count (:func:`label`).
    score : (x, y, z) filtered map there.
    affine : (4, 4) voxel to world, mm.
    native, native_affine : the same labels on the grid of the scan as it came from the scanner. A
        label stays one component, though it may be in pieces there, or have no voxel left.

    Returns
    -------
    table : component (1, 2, ...); in native space voxels, volume_ml, x_mm, y_mm, z_mm (centre,
        world RAS+), bounding box (first and last voxel index along each axis, both inside);
        mean_score and max_score of the map in atlas space; ``atlas_`` and the same in atlas space.
        Without a voxel left on the native grid the volume is 0, centre and box are missing.
    """
    count = int(parts.max(initial=0))
    own, there = _places(native, native_affine, count), _places(parts, affine, count)
    table = pandas.concat([own, there.add_prefix("atlas_")], axis=1)
    values = []
    for number, ends in enumerate(there[BOX].itertuples(index=False), start=1):
        box = tuple(slice(first, last + 1) for first, last in zip(ends[:3], ends[3:]))
        values.append(score[box][parts[box] == number])
    table["mean_score"] = [float(one.mean()) for one in values]
    table["max_score"] = [float(one.max()) for one in values]
    order = ["voxels", "atlas_voxels", *(f"atlas_{name}" for name in BOX[:3])]
    table = table.sort_values(order, ascending=[False, False, True, True, True], kind="stable")
    table["component"] = np.arange(1, count + 1)
    return table[COLUMNS].reset_index(drop=True)


def _places(labels: np.ndarray, affine: np.ndarray, count: int) -> pandas.DataFrame:
    """Size, centre and bounding box of the labels 1 .. count."""
    found = cc3d.statistics(np.ascontiguousarray(labels, dtype=np.uint32))
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    rows = []
    for number in range(1, count + 1):
        voxels = int(found["voxel_counts"][number]) if number < len(found["voxel_counts"]) else 0
        if not voxels:
            rows.append([0, 0.0] + 9 * [None])
            continue
        box = found["bounding_boxes"][number]
        centre = (affine @ [*found["centroids"][number], 1])[:3]
        rows.append(
            [
                voxels,
                round(voxels * voxel_ml, 6),
                *(round(float(one), 2) for one in centre),
                *(part.start for part in box),
                *(part.stop - 1 for part in box),
            ]
        )
    # Whole numbers stay whole where some are missing.
    kinds = {"voxels": int, **dict.fromkeys(PLACE[1:5], float), **dict.fromkeys(BOX, "Int64")}
    return pandas.DataFrame(rows, columns=PLACE).astype(kinds)
