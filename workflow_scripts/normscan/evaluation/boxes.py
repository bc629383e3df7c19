"""Bounding boxes of detections against those of lesions: what a reader is pointed to.

Source: Chatterjee et al. 2022, section 4.2.2 and Figs. 6 and 7, which show boxes and score none.
Assumed: a box per connected component, detections and lesions matched one to one, a pair being a
match from an intersection over union of :data:`LEAST`. Not given in the paper; chosen because it is
usual for lesions in 3D (Baumgartner et al. 2021, nnDetection), of which a box a voxel too wide on
each side shares little with the true one.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, optimize

LEAST = 0.1


def bounding_boxes(labels: np.ndarray) -> np.ndarray:
    """Boxes (n, axes, 2) of the labels other than 0 that occur, in their order.

    A box is the first index along each axis and the one after the last.

    Parameters
    ----------
    labels : integers, any number of axes.
    """
    found = [one for one in ndimage.find_objects(labels) if one is not None]
    ends = [[(side.start, side.stop) for side in box] for box in found]
    return np.array(ends, int).reshape(len(found), labels.ndim, 2)


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union (n, m) of boxes (n, axes, 2) and (m, axes, 2)."""
    one, other = first[:, None], second[None]
    low = np.maximum(one[..., 0], other[..., 0])
    high = np.minimum(one[..., 1], other[..., 1])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    sizes = [(boxes[..., 1] - boxes[..., 0]).prod(axis=-1) for boxes in (one, other)]
    return common / np.maximum(sizes[0] + sizes[1] - common, 1)


def matched_boxes(overlaps: np.ndarray, least: float = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that are matched one to one: as many as possible, then the largest sum.

    Parameters
    ----------
    overlaps : (n, m), of :func:`box_overlaps`. least : pairs below it are never matched.
    """
    allowed = overlaps >= least
    # No sum of overlaps outweighs one match more.
    worth = np.where(allowed, min(overlaps.shape) + 1 + overlaps, 0.0)
    rows, columns = optimize.linear_sum_assignment(worth, maximize=True)
    kept = allowed[rows, columns]
    return rows[kept], columns[kept]


def box_scores(detections: np.ndarray, lesions: np.ndarray) -> dict[str, float]:
    """Scores of the boxes of one scan.

    Parameters
    ----------
    detections, lesions : (x, y, z) labelled components; 0 elsewhere.

    Returns
    -------
    box_precision, box_recall : share of detections' and of lesions' boxes that are matched; NaN
        without any of them.
    box_iou : mean intersection over union of matched boxes; NaN without a match.
    """
    found, true = bounding_boxes(detections), bounding_boxes(lesions)
    overlaps = box_overlaps(found, true)
    rows, columns = matched_boxes(overlaps)
    nan = float("nan")
    return {
        "box_precision": len(rows) / len(found) if len(found) else nan,
        "box_recall": len(rows) / len(true) if len(true) else nan,
        "box_iou": float(overlaps[rows, columns].mean()) if len(rows) else nan,
    }
