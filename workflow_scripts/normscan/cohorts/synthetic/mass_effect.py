"""Mass effect: a lesion pushes the tissue around it away.

The field is assumed, no tissue mechanics: tissue at the lesion's surface moves outward by the push,
tissue at a distance d by push * exp(-d / reach), nothing at the edge of the brain (the skull holds
it) nor at the lesion's middle. A lesion pushes by at most 0.8 of its half thickness, so that no
slope of the field reaches 1: tissue does not fold.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# How far the push reaches, in times of it and at least in mm.
REACH = 3.0
# Of the half thickness of a lesion, how far it pushes at most.
MOST = 0.8
LEAST_REACH_MM = 8.0
# Directions are those of a smoothed surface, so that neighbours are pushed the same way.
SMOOTH_MM = 3.0


def displaced(
    image: np.ndarray, lesion: np.ndarray, brain: np.ndarray, spacing: np.ndarray, push: float
) -> np.ndarray:
    """An image (x, y, z) float32 whose tissue is pushed away from a lesion.

    Parameters
    ----------
    image : (x, y, z).
    lesion, brain : (x, y, z) booleans, both not empty; nothing outside of the brain moves.
    spacing : (3,) mm.
    push : how far (mm) tissue at the lesion's surface moves, away from the edge of the brain; 0:
        nothing does, and the image is returned to the bit.
    """
    spacing = np.asarray(spacing, float)
    if not push:
        return np.asarray(image, np.float32)
    outside = ndimage.distance_transform_edt(~lesion, sampling=spacing).astype(np.float32)
    inside = ndimage.distance_transform_edt(lesion, sampling=spacing).astype(np.float32)
    depth = ndimage.distance_transform_edt(brain, sampling=spacing).astype(np.float32)
    thickest = float(inside.max())
    push = min(push, MOST * thickest)
    reach = max(REACH * push, LEAST_REACH_MM)
    surface = ndimage.gaussian_filter(outside - inside, SMOOTH_MM / spacing)
    slopes = np.gradient(surface, *(float(one) for one in spacing))
    steep = np.maximum(np.sqrt(sum(one**2 for one in slopes)), 1e-6)
    # Nothing at the lesion's middle, all of it at the surface, less and less outside.
    amount = push * np.exp(-outside / reach) * (1 - inside / thickest)
    amount *= np.clip(depth / reach, 0, 1)
    # What is now at a voxel comes from nearer to the lesion.
    where = [
        places - amount * slope / steep / float(step)
        for places, slope, step in zip(np.indices(image.shape, np.float32), slopes, spacing)
    ]
    moved = ndimage.map_coordinates(
        np.asarray(image, np.float32), where, order=1, mode="nearest", output=np.float32
    )
    return np.where(brain, moved, image).astype(np.float32)
