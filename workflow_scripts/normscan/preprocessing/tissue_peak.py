"""The intensity of healthy white matter, from the best that is known of where it lies.

Source: none of the papers; white matter's peak as the unit of intensity is usual since WhiteStripe
(Shinohara et al. 2014), which looks for it in T1w. Assumed here: which voxels show it, and in what
order the ways to find them are tried.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from normscan.preprocessing.grids import Grid, read_volume
from normscan.preprocessing.robust import (
    highest_peak,
    peak_near,
    without_bright,
    without_negatives,
)
from normscan.preprocessing.segment_tissue import TISSUES
from normscan.preprocessing.volumes import Prepared
from normscan.preprocessing.white_matter import even_depth, white_matter_peak

# The contrast on which white matter stands out from everything else.
ANATOMY = "T1w"
# Around white matter's peak on that contrast, as a share of it.
NEAR = 0.1
FEWEST_VOXELS = 100

White = Callable[[Grid, np.ndarray], "np.ndarray | None"]


def white_matter_of(prepared: Prepared) -> White:
    """Where a scan's white matter lies, from its tissue map, else from its T1w volume.

    Returns
    -------
    find : (grid, brain) -> (x, y, z) bool on the grid, None when neither is at hand there, or shows
        fewer than :data:`FEWEST_VOXELS`. Computed once for volumes on the same grid.
    """
    known: list[tuple[Grid, np.ndarray | None]] = []

    def find(grid: Grid, brain: np.ndarray) -> np.ndarray | None:
        for other, mask in known:
            if other.same_as(grid):
                return mask
        mask = _from_tissue(prepared, grid)
        if mask is None:
            mask = _from_anatomy(prepared, grid, brain)
        if mask is not None and (mask & brain).sum() < FEWEST_VOXELS:
            mask = None
        known.append((grid, mask))
        return mask

    return find


def _from_tissue(prepared: Prepared, grid: Grid) -> np.ndarray | None:
    if not prepared.tissue:
        return None
    labels, source = read_volume(prepared.tissue)
    return np.rint(labels) == TISSUES["white matter"] if source.same_as(grid) else None


def _from_anatomy(prepared: Prepared, grid: Grid, brain: np.ndarray) -> np.ndarray | None:
    if ANATOMY not in prepared.images:
        return None
    data, source = read_volume(prepared.images[ANATOMY])
    if not source.same_as(grid):
        return None
    data = _positive(data, brain)
    try:
        peak = white_matter_peak(data, brain, grid.spacing, ANATOMY)
    except ValueError:
        return None
    return even_depth(data, brain, grid.spacing) & (np.abs(data - peak) <= NEAR * peak)


def tissue_peak(
    data: np.ndarray,
    brain: np.ndarray,
    spacing: np.ndarray,
    contrast: str,
    white: np.ndarray | None = None,
) -> float:
    """Intensity of white matter's peak, that of the values without negatives.

    Parameters
    ----------
    data : (x, y, z), any scale. brain : (x, y, z) bool.
    spacing : (3,) voxel size in mm.
    contrast : see ``white_matter.white_matter_peak``.
    white : (x, y, z) bool, white matter (:func:`white_matter_of`). None: it is looked for in the
        histogram of the brain's depth; where that shows no peak of it, the highest peak of the
        brain's histogram is taken.

    Raises
    ------
    ValueError : the brain's values are constant or not positive.
    """
    values = without_negatives(data[brain])
    if white is not None:
        inside = values[white[brain]]
        peak = peak_near(inside, float(np.median(without_bright(inside))))
    else:
        peak = _peak_of_depth(_positive(data, brain), brain, spacing, contrast)
    return peak if peak > 0 else highest_peak(values)


def _peak_of_depth(
    data: np.ndarray, brain: np.ndarray, spacing: np.ndarray, contrast: str
) -> float:
    """White matter's peak in the even depth of a brain; 0 when its histogram shows none."""
    try:
        start = white_matter_peak(data, brain, spacing, contrast)
    except ValueError:
        return 0.0
    return peak_near(data[even_depth(data, brain, spacing)].astype(np.float64), start)


def _positive(data: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """A volume (float32) without negative values, 0 outside of the brain."""
    result = np.zeros(data.shape, np.float32)
    result[brain] = without_negatives(data[brain])
    return result
