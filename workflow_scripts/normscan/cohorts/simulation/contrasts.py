"""From tissues to noise-free intensities of a contrast."""

from __future__ import annotations

import numpy as np

from normscan.cohorts.simulation.anatomy import Anatomy
from normscan.cohorts.simulation.lesions import Lesions
from normscan.cohorts.simulation.noise import resized, smooth_noise

# Relative intensities in the order of TISSUES: csf, gm, wm, bone, marrow, fat, muscle, eye.
INTENSITIES = {
    "T1w": (0.20, 0.64, 1.00, 0.06, 0.62, 1.20, 0.50, 0.22),
    "T1ce": (0.20, 0.64, 1.00, 0.06, 0.62, 1.20, 0.55, 0.22),
    "T2w": (1.45, 0.82, 0.55, 0.06, 0.45, 0.85, 0.30, 1.40),
    "FLAIR": (0.12, 0.82, 0.62, 0.05, 0.40, 0.72, 0.36, 0.16),
    "PD": (0.95, 1.00, 0.80, 0.08, 0.60, 1.00, 0.60, 0.95),
    "DWI": (0.20, 0.65, 0.55, 0.03, 0.20, 0.25, 0.30, 0.15),
}
LESIONS = {
    "T1w": {"ms": 0.60, "stroke": 0.52, "necrosis": 0.30, "oedema": 0.66, "rim": 0.70},
    "T1ce": {"ms": 0.64, "stroke": 0.55, "necrosis": 0.30, "oedema": 0.66, "rim": 1.45},
    "T2w": {"ms": 1.12, "stroke": 1.15, "necrosis": 1.35, "oedema": 1.12, "rim": 0.92},
    "FLAIR": {"ms": 1.22, "stroke": 1.15, "necrosis": 0.48, "oedema": 1.15, "rim": 1.00},
    "PD": {"ms": 1.20, "stroke": 1.18, "necrosis": 1.12, "oedema": 1.18, "rim": 1.12},
    "DWI": {"ms": 0.85, "stroke": 1.35, "necrosis": 0.35, "oedema": 0.70, "rim": 0.95},
}
# How much of the tissue's own intensity a lesion replaces: folds show through a stroke.
REPLACED = {"stroke": 0.8, "oedema": 0.85}


def contrast_volume(
    rng: np.random.Generator, anatomy: Anatomy, lesions: Lesions, contrast: str
) -> np.ndarray:
    """Noise-free intensities (x, y, z) on the anatomy's grid; white matter on T1w is about 1.

    Every subject and contrast has intensities of its own (by a few percent), tissues are not
    perfectly even, and lesions differ in how much they stand out.

    Parameters
    ----------
    contrast : a key of INTENSITIES.
    """
    base = np.array(INTENSITIES[contrast])
    values = base * (1 + 0.03 * rng.standard_normal(base.size))
    volume = np.zeros(anatomy.brain.shape, np.float32)
    for value, fraction in zip(values, anatomy.fractions):
        volume += np.float32(value) * fraction
    coarse = 3.0
    shape = [int(np.ceil(n * anatomy.spacing / coarse)) + 1 for n in volume.shape]
    texture = resized(smooth_noise(rng, shape, 0.8), anatomy.spacing / coarse, volume.shape)
    volume *= 1 + np.float32(0.015) * texture
    for kind, fraction in lesions.fractions.items():
        value = LESIONS[contrast][kind] * (1 + 0.04 * rng.standard_normal())
        uneven = np.float32(value) * (1 + np.float32(0.03) * texture)
        volume += np.float32(REPLACED.get(kind, 1.0)) * fraction * (uneven - volume)
    return volume
