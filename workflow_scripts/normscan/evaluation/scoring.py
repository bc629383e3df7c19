"""All scores of one scan's filtered map: at every operating point, and along the FROC curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from normscan.evaluation.froc import froc_counts
from normscan.evaluation.segmentation import segmentation_scores
from normscan.postprocessing.components import drop_small
from normscan.postprocessing.slice_rules import Point, SliceRule, binarise


def scan_scores(
    filtered: np.ndarray,
    lesion: np.ndarray,
    ignored: np.ndarray,
    affine: np.ndarray,
    rules: Mapping[str, Point],
    froc: Sequence[float],
    minimum_voxels: int,
) -> tuple[list[tuple[str, str, float]], list[tuple[float, int, int, int]]]:
    """Scores at thresholds, and counts for the FROC curve.

    Components and counts are those of the whole volume; they are looked for in the box that holds
    scores and labels, outside of which there is nothing to be found.

    Parameters
    ----------
    filtered : (x, y, z) non-negative filtered map.
    lesion, ignored : (x, y, z) bool.
    affine : (4, 4), mm.
    rules : label -> threshold (>= 0), or a rule per slice.
    froc : thresholds (>= 0) of the curve.
    minimum_voxels : smaller detections are dropped.

    Returns
    -------
    scores, counts : (rule, metric, value), and the rows of ``froc.froc_counts``.
    """
    # A rule per slice looks at whole slices.
    whole = {
        label: binarise(filtered, point, affine)
        for label, point in rules.items()
        if isinstance(point, SliceRule)
    }
    box = occupied_box((filtered > 0) | lesion | ignored)
    filtered, lesion, ignored = (
        np.ascontiguousarray(volume[box]) for volume in (filtered, lesion, ignored)
    )
    scores = [
        (label, metric, value)
        for label, point in rules.items()
        for metric, value in segmentation_scores(
            drop_small(
                whole[label][box] if label in whole else binarise(filtered, point, affine),
                minimum_voxels,
            ),
            lesion,
            affine,
            ignored,
        ).items()
    ]
    return scores, froc_counts(filtered, lesion, froc, minimum_voxels, ignored)


def occupied_box(mask: np.ndarray) -> tuple[slice, ...]:
    """The smallest box that holds all voxels of a mask; the first voxel when it is empty."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        used = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1))
    return tuple(box)
