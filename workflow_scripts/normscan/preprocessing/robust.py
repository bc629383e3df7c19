"""Values of a brain that a lesion does not move: its median and the peaks of its histogram.

A glioma takes up to a fifth of a brain and is bright on FLAIR: it moves the 98th percentile by
half, the plain median by 5 %. Without the voxels that lie far above the others the median moves by
1 % (docs/intensities.md).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# Spreads above the median from which on a voxel is set aside; the spread is that of the values
# below the median, which no bright lesion widens.
FAR = 2.0
# Standard deviations per median distance of a normal distribution.
NORMAL = 1.4826
ROUNDS = 30
# Share of a peak's intensity within which values belong to it.
REACH = 0.1
# Bins and smoothing of a histogram, as shares of the median.
BIN, SMOOTHING = 0.01, 4.0
# Interpolation leaves a few values below zero; more than this comes from scans z-scored before.
USUAL_NEGATIVE = 0.05


def without_negatives(values: np.ndarray) -> np.ndarray:
    """Values (n,) as float64 with what is negative set to 0.

    Scans that were z-scored before (more than 5 % below zero) are first raised by their 1st
    percentile, so that dark tissue is not lost.
    """
    values = values.astype(np.float64)
    if (values < 0).mean() > USUAL_NEGATIVE:
        values = values - np.percentile(values, 1)
    return np.maximum(values, 0)


def without_bright(values: np.ndarray) -> np.ndarray:
    """Values (n,) without those far above the others, such as those of a bright lesion.

    The bound is the median plus :data:`FAR` times the spread of the lower half, found anew from
    what is left until it stays. A lesion that is no brighter than healthy tissue remains.
    """
    kept = values
    for _ in range(ROUNDS):
        if not len(kept):
            break
        lower, middle = np.percentile(kept, [25, 50])
        within = kept <= middle + FAR * NORMAL * (middle - lower)
        if within.all():
            break
        kept = kept[within]
    return kept


def brain_median(values: np.ndarray) -> float:
    """Median of a brain's values (n,), bright lesions set aside.

    Raises ValueError when it is not positive; a phrase that goes after a file's name.
    """
    kept = without_bright(values)
    middle = float(np.median(kept)) if len(kept) else 0.0
    if not middle > 0:
        raise ValueError("is constant or zero inside of the brain: its median is not positive")
    return middle


def peak_near(values: np.ndarray, start: float) -> float:
    """The local peak of the distribution of values (n,) that lies uphill of a start.

    Mean shift with a flat kernel of :data:`REACH` of the intensity: what is farther away, such as a
    lesion, does not count.
    """
    peak = start
    for _ in range(ROUNDS):
        near = values[np.abs(values - peak) <= REACH * abs(peak)]
        if not len(near):
            break
        before, peak = peak, float(near.mean())
        if abs(peak - before) <= 1e-4 * abs(before):
            break
    return peak


def highest_peak(values: np.ndarray) -> float:
    """Intensity (> 0) that is the most frequent among a brain's values (n,).

    Raises ValueError as :func:`brain_median`.
    """
    unit = brain_median(values)
    edges = np.arange(0.0, 3.0, BIN)
    counts, _ = np.histogram(values[values > 0] / unit, edges)
    # Air and emptied fluid at 0 are no tissue.
    smooth = ndimage.gaussian_filter1d(counts.astype(float), SMOOTHING, mode="constant")
    return peak_near(values, unit * float(edges[smooth.argmax()] + BIN / 2))
