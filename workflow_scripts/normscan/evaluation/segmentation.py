"""Scores of a detection against the truth, by voxel and by lesion."""

from __future__ import annotations

import cc3d
import numpy as np


def segmentation_scores(
    detected: np.ndarray, lesion: np.ndarray, affine: np.ndarray
) -> dict[str, float]:
    """Scores of one scan at one threshold.

    A lesion (26-connected) counts as found when any of its voxels is detected; a detected component
    is a false positive when it touches no lesion.

    Parameters
    ----------
    detected, lesion : (x, y, z) bool.
    affine : (4, 4), mm.

    Returns
    -------
    dice, precision, recall, lesion_volume_ml, detected_volume_ml, volume_error_ml, lesions,
    lesion_recall, false_positives. Without lesion voxels dice is 1 when nothing is detected and 0
    otherwise; recall and lesion_recall are then NaN, as is precision without detections.
    """
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    hit = int((detected & lesion).sum())
    found, true = int(detected.sum()), int(lesion.sum())
    lesions, number = cc3d.connected_components(
        lesion.astype(np.uint8), connectivity=26, return_N=True
    )
    parts, count = cc3d.connected_components(
        detected.astype(np.uint8), connectivity=26, return_N=True
    )
    touched = len(np.setdiff1d(np.unique(lesions[detected]), [0]))
    right = len(np.setdiff1d(np.unique(parts[lesion]), [0]))
    nan = float("nan")
    return {
        "dice": 2 * hit / (found + true) if found + true else 1.0,
        "precision": hit / found if found else nan,
        "recall": hit / true if true else nan,
        "lesion_volume_ml": true * voxel_ml,
        "detected_volume_ml": found * voxel_ml,
        "volume_error_ml": abs(found - true) * voxel_ml,
        "lesions": number,
        "lesion_recall": touched / number if number else nan,
        "false_positives": count - right,
    }
