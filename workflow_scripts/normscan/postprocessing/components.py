"""3D connected components of detections."""

from __future__ import annotations

import cc3d
import numpy as np

CONNECTIVITY = 26


def drop_small(detected: np.ndarray, minimum_voxels: int) -> np.ndarray:
    """Detections (x, y, z) bool without 3D components of fewer voxels (26-connected).

    Baur et al. 2021, section III-C: components "less than 8 voxels" are discarded; the connectivity
    is not given, chosen because diagonal neighbours belong to one lesion on coarse grids.
    """
    labels, count = cc3d.connected_components(
        detected.astype(np.uint8), connectivity=CONNECTIVITY, return_N=True
    )
    if not count:
        return np.zeros(detected.shape, bool)
    keep = np.bincount(labels.ravel()) >= minimum_voxels
    keep[0] = False
    return keep[labels]


def component_table(detected: np.ndarray, score: np.ndarray, affine: np.ndarray):
    """One row per component, the largest first.

    Parameters
    ----------
    detected : (x, y, z) bool.
    score : (x, y, z) filtered map.
    affine : (4, 4) voxel to world, mm.

    Returns
    -------
    pandas table: component, voxels, volume_ml, x_mm, y_mm, z_mm (centre, world), bounding box
    (first and last voxel per axis), mean_score, max_score.
    """
    import pandas

    labels, count = cc3d.connected_components(
        detected.astype(np.uint8), connectivity=CONNECTIVITY, return_N=True
    )
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    facts = cc3d.statistics(labels)
    rows = []
    for component in range(1, count + 1):
        box = facts["bounding_boxes"][component]
        inside = labels[box] == component
        values = score[box][inside]
        x, y, z = (affine @ [*facts["centroids"][component], 1])[:3]
        rows.append(
            {
                "voxels": int(inside.sum()),
                "volume_ml": round(inside.sum() * voxel_ml, 4),
                "x_mm": round(x, 2),
                "y_mm": round(y, 2),
                "z_mm": round(z, 2),
                **{f"{axis}_first": part.start for axis, part in zip("xyz", box)},
                **{f"{axis}_last": part.stop - 1 for axis, part in zip("xyz", box)},
                "mean_score": float(values.mean()),
                "max_score": float(values.max()),
            }
        )
    columns = ["component", "voxels", "volume_ml", "x_mm", "y_mm", "z_mm"]
    columns += [f"{axis}_{end}" for end in ("first", "last") for axis in "xyz"]
    columns += ["mean_score", "max_score"]
    rows.sort(key=lambda row: (-row["voxels"], row["x_mm"], row["y_mm"], row["z_mm"]))
    numbered = [{"component": number, **row} for number, row in enumerate(rows, start=1)]
    return pandas.DataFrame(numbered, columns=columns)
