"""Lesion shapes out of nothing: balls with a wavy surface.

After the artificial anomalies of the MOOD challenge (Zimmerer et al. 2021) that Chatterjee et al.
2022, section 3.3, test on; its shapes are not given, chosen because a ball that is not quite round
has no edge along an axis of the grid.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.noise import smooth_noise

# Share of the radius by which the surface goes in and out, and over which length of arc.
WAVE = 0.12
WAVE_LENGTH = 0.5


def sphere(
    brain: np.ndarray, spacing: np.ndarray, radius: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """A wavy ball (booleans) somewhere in a brain; parts that leave the brain are still there.

    Parameters
    ----------
    brain : (x, y, z) booleans, not empty.
    spacing : (3,) mm.
    radius : smallest and largest in mm; where the brain is too thin for the one that is drawn, its
        centre is where the brain is thickest.
    """
    drawn = rng.uniform(*radius)
    depth = ndimage.distance_transform_edt(brain, sampling=spacing)
    places = np.argwhere(depth >= min(drawn, depth.max()))
    centre = places[rng.integers(len(places))]
    offsets = [
        ((np.arange(size) - middle) * step).astype(np.float32)
        for size, middle, step in zip(brain.shape, centre, spacing)
    ]
    squared = sum(part**2 for part in np.ix_(*offsets))
    sigma = WAVE_LENGTH * drawn / float(np.exp(np.log(spacing).mean()))
    wave = smooth_noise(rng, brain.shape, max(sigma, 0.5))
    return np.sqrt(squared) <= drawn * (1 + WAVE * np.clip(wave, -2, 2))
