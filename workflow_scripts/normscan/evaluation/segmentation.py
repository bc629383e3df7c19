"""Scores of a detection against the truth, by voxel and by lesion."""

from __future__ import annotations

import numpy as np

from normscan.evaluation.boxes import box_scores
from normscan.postprocessing.components import label


def segmentation_scores(
    detected: np.ndarray,
    lesion: np.ndarray,
    affine: np.ndarray,
    ignored: np.ndarray | None = None,
) -> dict[str, float]:
    """Scores of one scan at one threshold, after small components were dropped.

    A lesion is a connected component (26 neighbours) of the truth. It counts as found when any of
    its voxels is detected; a detected component is a false positive when it touches no lesion.
    Ignored voxels are no part of a detection; one that has no other voxels is none at all.

    Parameters
    ----------
    detected, lesion : (x, y, z) bool.
    affine : (4, 4), mm.
    ignored : (x, y, z) bool, voxels that count on neither side; None: there are none.

    Returns
    -------
    dice, precision, recall : by voxel.
    lesion_volume_ml, detected_volume_ml.
    volume_error_ml : |detected - lesion| in ml; volume_error : the same as a share of the lesion
        volume, whose mean over scans is the average volume error.
    lesions, detections : components of truth and of detection.
    lesion_recall : share of lesions found (detection rate).
    false_positives : detected components that touch no lesion.
    lesion_precision : share of detected components that touch a lesion.
    box_precision, box_recall, box_iou : of bounding boxes (``boxes.box_scores``).

    Without lesion voxels dice is 1 when nothing is detected and 0 otherwise, and recall,
    lesion_recall and volume_error are NaN; without detections both precisions are.
    """
    voxel_ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    hit, true = int((detected & lesion).sum()), int(lesion.sum())
    counted = _counted(detected, ignored)
    found = int(counted.sum())
    truth, lesions = label(lesion)
    parts, detections = label(detected)
    touched, detections, false = _counts(parts, detections, counted, detected, lesion, truth)
    right = detections - false
    nan = float("nan")
    return {
        "dice": 2 * hit / (found + true) if found + true else 1.0,
        "precision": hit / found if found else nan,
        "recall": hit / true if true else nan,
        "lesion_volume_ml": true * voxel_ml,
        "detected_volume_ml": found * voxel_ml,
        "volume_error_ml": abs(found - true) * voxel_ml,
        "volume_error": abs(found - true) / true if true else nan,
        "lesions": lesions,
        "detections": detections,
        "lesion_recall": touched / lesions if lesions else nan,
        "false_positives": false,
        "lesion_precision": right / detections if detections else nan,
        **box_scores(np.where(counted, parts, 0), truth),
    }


def lesion_counts(
    detected: np.ndarray,
    lesion: np.ndarray,
    truth: np.ndarray,
    ignored: np.ndarray | None = None,
) -> tuple[int, int, int]:
    """Lesions found, detected components, and those of them that touch no lesion.

    Parameters
    ----------
    detected, lesion : (x, y, z) bool.
    truth : labelled components of ``lesion``.
    ignored : (x, y, z) bool; components that have no other voxels are left out. One that ignored
        voxels cut in two counts once.
    """
    parts, detections = label(detected)
    counted = _counted(detected, ignored)
    return _counts(parts, detections, counted, detected, lesion, truth)


def _counts(parts, detections: int, counted, detected, lesion, truth) -> tuple[int, int, int]:
    """As of :func:`lesion_counts`, of components that are labelled already."""
    if counted is not detected:
        detections = _count_labels(parts[counted])
    return _count_labels(truth[detected]), detections, detections - _count_labels(parts[lesion])


def _counted(detected: np.ndarray, ignored: np.ndarray | None) -> np.ndarray:
    return detected if ignored is None or not ignored.any() else detected & ~ignored


def _count_labels(labels: np.ndarray) -> int:
    """How many different labels other than 0 there are."""
    return int(np.count_nonzero(np.unique(labels)))
