"""Masks of brain and body: support of volumes, largest component, holes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from normscan.cohorts.ringing import TOLERANCE, ringing

SMOOTHING_MM = 1.5


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest face-connected part of a 3D mask; an empty mask stays empty."""
    parts, count = ndimage.label(mask)
    if count <= 1:
        return mask.astype(bool)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()


def filled(mask: np.ndarray) -> np.ndarray:
    """A 3D mask without holes."""
    return ndimage.binary_fill_holes(mask)


def filled_support(data: np.ndarray) -> np.ndarray:
    """Brain mask of a skull-stripped volume: what differs from the background, in one piece.

    The background is the commonest of the corner values; zero for most scans, but the minimum for
    z-scored ones that were shifted. A small tolerance keeps interpolation noise out, and where
    interpolation rings around the brain (``ringing.ringing``), so do its faint values.
    """
    level, height = ringing(data)
    if height:
        return filled(largest_component(data > level + height))
    corners = data[np.ix_(*[[0, -1]] * 3)]
    values, counts = np.unique(corners, return_counts=True)
    background = values[counts.argmax()]
    distance = np.abs(data - background)
    return filled(largest_component(distance > TOLERANCE * distance.max()))


def head_support(data: np.ndarray) -> np.ndarray:
    """Mask of a head with skull: what is brighter than air (Otsu's threshold), in one piece."""
    from skimage.filters import threshold_otsu

    return filled(largest_component(data > threshold_otsu(data)))


def body_support(data: np.ndarray, spacing: np.ndarray, reach: float = 6.0) -> np.ndarray:
    """Mask of a body in air, dark bone and fluid included, in one piece and without holes.

    Brighter than half of Otsu's threshold of the smoothed volume, so that the dim rim of a receive
    coil's field belongs to it; gaps up to twice ``reach`` wide are closed, so that bone and
    airways do.

    Parameters
    ----------
    data : (x, y, z), any scale; air is darkest.
    spacing : (3,) voxel size in mm.
    reach : mm.
    """
    from skimage.filters import threshold_otsu

    smooth = ndimage.gaussian_filter(data, SMOOTHING_MM / np.asarray(spacing))
    # Fat and vessels are so bright that Otsu would split them from everything else.
    threshold = threshold_otsu(np.minimum(smooth, np.percentile(smooth, 99)))
    mask = largest_component(smooth > threshold / 2)
    wide = int(np.ceil(reach / np.min(spacing))) + 1
    padded = np.pad(mask, wide)
    grown = ndimage.distance_transform_edt(~padded, sampling=spacing) <= reach
    closed = ndimage.distance_transform_edt(grown, sampling=spacing) > reach
    inner = (slice(wide, -wide),) * 3
    return filled(closed[inner] | mask)
