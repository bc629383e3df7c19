"""Lesions that the slice grid is too coarse for: no approach can find them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from normscan.evaluation.region import lesion_and_ignored
from normscan.postprocessing.components import label
from normscan.preprocessing.grids import read_volume
from normscan.slices.grid import slice_grid, upright


def lost_lesions(
    before: str | Path,
    size: int,
    field_of_view: float | None,
    chosen: Collection[int],
) -> tuple[int, float]:
    """Lesions without a voxel left on the slice grid.

    They are missing from the truth there: recall, Dice and volumes are of the other lesions.

    Parameters
    ----------
    before : label map on the atlas's grid.
    size, field_of_view : of the slices, as they are packed.
    chosen : labels that are sought; empty: all but 0.

    Returns
    -------
    lesions, ml : their number (connected components, 26 neighbours) and their volume together.
    """
    labels, grid = read_volume(before, np.int32)
    labels, affine = upright(labels, grid.affine)
    slices = slice_grid(labels.shape, affine, size, field_of_view)
    parts, count = label(lesion_and_ignored(labels, chosen)[0])
    kept = lesion_and_ignored(slices.labels(labels), chosen)[0]
    lost = np.bincount(parts.ravel(), minlength=count + 1)
    lost[np.unique(parts[slices.origins(kept)])] = 0
    lost[0] = 0
    return int(np.count_nonzero(lost)), float(lost.sum() * grid.voxel_ml)
