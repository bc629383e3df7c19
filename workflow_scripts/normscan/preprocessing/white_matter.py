"""Where in the intensities of a scan its white matter lies, skull stripped or not.

Kobayashi et al. 2021, section III-B, map the white matter peak of a histogram to a fixed value and
do not say how it is found. Assumed here: in the depth of the mask, where there is no scalp and
little cortex, even tissue makes peaks in the histogram; white matter is the brightest of the large
ones on T1 weighted contrasts, and the darkest of them on all others.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

# Voxels that count: at least so deep, as a share of the deepest one, ...
DEPTH = 0.4
# ... and the even half of these: edges between tissues blur peaks.
EVEN = 0.5
BINS, SMOOTHING = 256, 6.0
# A peak has at least these shares of the highest one's height.
HEIGHT, PROMINENCE = 0.4, 0.05
FEWEST_VOXELS = 500
BRIGHTEST = ("T1w", "T1ce")


def white_matter_peak(
    data: np.ndarray, mask: np.ndarray, spacing: np.ndarray, contrast: str
) -> float:
    """Intensity of the white matter peak.

    Parameters
    ----------
    data : (x, y, z), any scale.
    mask : (x, y, z) bool, of the brain or of the whole body.
    spacing : (3,) voxel size in mm.
    contrast : ``T1w``, ``T1ce``: white matter is bright; any other: it is darker than grey matter.

    Raises
    ------
    ValueError : too few voxels, or no peak; a phrase that goes after a file's name.
    """
    values = data[even_depth(data, mask, spacing)]
    if len(values) < FEWEST_VOXELS:
        raise ValueError(
            f"has {len(values)} voxels in the depth of its mask; a histogram that shows white "
            f"matter needs {FEWEST_VOXELS}"
        )
    low, high = np.percentile(values, [0.5, 99.5])
    if not high > low:
        raise ValueError("has no white matter peak: it is constant in the depth of its mask")
    counts, edges = np.histogram(values, BINS, (low, high))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), SMOOTHING, mode="nearest")
    top = smooth.max()
    places, _ = signal.find_peaks(smooth, height=HEIGHT * top, prominence=PROMINENCE * top)
    # So near to the ends of the range, a slope that is cut off looks like a peak.
    places = places[(places > SMOOTHING) & (places < BINS - SMOOTHING)]
    if not len(places):
        raise ValueError("has no white matter peak in the histogram of the depth of its mask")
    chosen = places[-1] if contrast in BRIGHTEST else places[0]
    return float(edges[chosen : chosen + 2].mean())


def even_depth(data: np.ndarray, mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Voxels (x, y, z) deep in a mask whose surroundings are even; empty for an empty mask."""
    if not mask.any():
        return mask
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    deep = depth >= DEPTH * depth.max()
    steepness = ndimage.gaussian_gradient_magnitude(data.astype(np.float32), 1.0)
    return deep & (steepness <= np.quantile(steepness[deep], EVEN))
