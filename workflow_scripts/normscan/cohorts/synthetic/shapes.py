"""Lesion shapes out of nothing: wavy balls, ellipsoids, irregular blobs, clusters of small balls.

Balls are after the artificial anomalies of the MOOD challenge (Zimmerer et al. 2021) that
Chatterjee et al. 2022, section 3.3, test on; its shapes are not given, chosen because a ball that
is not quite round has no edge along an axis of the grid. The other shapes are assumed, each after
what lesions look like: elongated ones, tumours of irregular outline, several small ones together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.noise import smooth_noise

# Share of the radius by which the surface goes in and out, and over which length of arc.
WAVE = 0.12
WAVE_LENGTH = 0.5
# Of blobs, whose outline is irregular.
BLOB_WAVE = 0.45
BLOB_LENGTH = 0.4
# How much longer than a ball of the same volume an ellipsoid is.
LONGER = (1.3, 2.2)
# Of clusters: how many, each how large as a share of the radius, and within how many radii.
MEMBERS = (3, 8)
MEMBER = (0.3, 0.6)
WITHIN = 2.0


def made_shape(
    kind: str,
    brain: np.ndarray,
    spacing: np.ndarray,
    radius: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """A shape (booleans) somewhere in a brain; parts that leave the brain are still there.

    Parameters
    ----------
    kind : a key of :data:`SHAPES`.
    brain : (x, y, z) booleans, not empty.
    spacing : (3,) mm.
    radius : smallest and largest in mm, of a ball of the same size; where the brain is too thin for
        the one that is drawn, its centre is where the brain is thickest.
    """
    return SHAPES[kind](brain, np.asarray(spacing, float), radius, rng)


def sphere(
    brain: np.ndarray, spacing: np.ndarray, radius: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """A wavy ball."""
    drawn = rng.uniform(*radius)
    offsets = _offsets(brain.shape, _centre(brain, spacing, drawn, rng), spacing)
    squared = sum(part**2 for part in np.ix_(*offsets))
    wave = _wave(brain.shape, spacing, WAVE_LENGTH * drawn, rng)
    return np.sqrt(squared) <= drawn * (1 + WAVE * np.clip(wave, -2, 2))


def ellipsoid(
    brain: np.ndarray, spacing: np.ndarray, radius: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """A wavy ellipsoid in any direction, with the volume of the ball."""
    drawn = rng.uniform(*radius)
    offsets = _offsets(brain.shape, _centre(brain, spacing, drawn, rng), spacing)
    longer = rng.uniform(*LONGER)
    wider = rng.uniform(longer**-0.75, longer**-0.25)
    axes = drawn * np.array([longer, wider, 1 / (longer * wider)])
    # Columns of a random orthogonal matrix, each divided by its half axis.
    turned = np.linalg.qr(rng.standard_normal((3, 3)))[0] / axes
    squared = sum(
        sum(weight * part for weight, part in zip(column, np.ix_(*offsets))) ** 2
        for column in turned.T
    )
    wave = _wave(brain.shape, spacing, WAVE_LENGTH * drawn, rng)
    return np.sqrt(squared) <= 1 + WAVE * np.clip(wave, -2, 2)


def blob(
    brain: np.ndarray, spacing: np.ndarray, radius: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """One piece of irregular outline around a place, about as large as the ball."""
    drawn = rng.uniform(*radius)
    centre = _centre(brain, spacing, drawn, rng)
    squared = sum(part**2 for part in np.ix_(*_offsets(brain.shape, centre, spacing)))
    wave = _wave(brain.shape, spacing, BLOB_LENGTH * drawn, rng)
    inside = np.sqrt(squared) <= drawn * (1 + BLOB_WAVE * np.clip(wave, -2, 2))
    labels, _ = ndimage.label(inside)
    # Pieces that the waves cut off are left out; the centre is inside, as waves end at -2.
    return labels == labels[tuple(centre)]


def cluster(
    brain: np.ndarray, spacing: np.ndarray, radius: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Several small wavy balls near each other, with their centres in the brain."""
    drawn = rng.uniform(*radius)
    centre = _centre(brain, spacing, drawn, rng)
    near = sum(part**2 for part in np.ix_(*_offsets(brain.shape, centre, spacing)))
    places = np.argwhere(brain & (near <= (WITHIN * drawn) ** 2))
    found = np.zeros(brain.shape, bool)
    for place in places[rng.integers(len(places), size=rng.integers(MEMBERS[0], MEMBERS[1] + 1))]:
        squared = sum(part**2 for part in np.ix_(*_offsets(brain.shape, place, spacing)))
        found |= squared <= (drawn * rng.uniform(*MEMBER)) ** 2
        # A ball smaller than a voxel is one voxel.
        found[tuple(place)] = True
    return found


SHAPES: dict[str, Callable[..., np.ndarray]] = {
    "spheres": sphere,
    "ellipsoids": ellipsoid,
    "blobs": blob,
    "clusters": cluster,
}


def _centre(
    brain: np.ndarray, spacing: np.ndarray, radius: float, rng: np.random.Generator
) -> np.ndarray:
    """A voxel at least so deep in the brain, or where it is thickest."""
    depth = ndimage.distance_transform_edt(brain, sampling=spacing)
    places = np.argwhere(depth >= min(radius, depth.max()))
    return places[rng.integers(len(places))]


def _offsets(shape: tuple[int, ...], centre: np.ndarray, spacing: np.ndarray) -> list[np.ndarray]:
    """Distances (mm) from a voxel along each axis."""
    return [
        ((np.arange(size) - middle) * step).astype(np.float32)
        for size, middle, step in zip(shape, centre, spacing)
    ]


def _wave(
    shape: tuple[int, ...], spacing: np.ndarray, length: float, rng: np.random.Generator
) -> np.ndarray:
    """Smooth noise of unit variance over a length in mm."""
    return smooth_noise(rng, shape, max(length / float(np.exp(np.log(spacing).mean())), 0.5))
