"""Intensities for lesions of which only the shape is known."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.contrasts import INTENSITIES, LESIONS
from normscan.cohorts.simulation.noise import smooth_noise

WHITE = 2
# Not given in the papers: a lesion fades over about a voxel of a clinical scan, tissue around it is
# seen over a centimetre, and its intensity varies by a sixth over some millimetres.
EDGE_MM = 1.0
LOCAL_MM = 5.0
NOISE = 0.15
NOISE_MM = 2.0
BLENDS = {
    "tissue": "add",
    "uniform": "replace",
    "sampled": "replace",
    "above": "add",
    "inside": "add",
    "below": "add",
}
# Kinds that are relative to the range of the host's own healthy voxels (their 1st to 99th
# percentile). Assumed: how far beyond it, how far inside from what is there, and how uneven, as
# shares of the range; over how many mm edges fade and the texture varies.
BEYOND = (0.02, 0.3)
APART = 0.15
UNEVEN = (0.02, 0.1)
EDGES_MM = (0.5, 2.0)
TEXTURE_MM = (1.0, 4.0)


def default_contrast(contrast: str) -> float:
    """How much brighter than white matter lesions of multiple sclerosis are where simulated."""
    return LESIONS[contrast]["ms"] / INTENSITIES[contrast][WHITE] - 1


def made_pattern(
    intensities: str,
    host: np.ndarray,
    brain: np.ndarray,
    lesion: np.ndarray,
    spacing: np.ndarray,
    low: float,
    scale: float,
    contrast: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """M of Eq. 15 for a lesion without an image, to be blended as ``BLENDS`` says.

    Parameters
    ----------
    intensities : ``tissue``: what is added to tissue is ``contrast`` times the tissue around, with
        soft edges and noise; ``uniform``: one intensity; ``sampled``: intensities of voxels drawn
        from the whole brain (both as in the artificial anomalies of the MOOD challenge);
        ``above``, ``inside``, ``below``: a level and a texture of its own, brighter than the
        brain's 99th percentile, between its 1st and that but unlike the tissue that was there, or
        darker than its 1st.
    host, brain, lesion : (x, y, z) image, booleans, booleans.
    spacing : (3,) mm.
    low, scale : of the host.
    contrast : of ``tissue``: 0.5 is half as bright again, -0.4 darker by 40 %.

    Returns
    -------
    float32, zero outside of the lesion.
    """
    pattern = np.zeros(host.shape, np.float32)
    if intensities == "uniform":
        pattern[lesion] = 1.0
    elif intensities == "sampled":
        pattern[lesion] = (rng.choice(host[brain], int(lesion.sum())) - low) / scale
    elif intensities in ("above", "inside", "below"):
        wanted, soft = _of_range(intensities, host, brain, lesion, spacing, low, rng)
        pattern[lesion] = (soft * (wanted - host))[lesion] / scale
    else:
        around = _local(host - low, brain & ~lesion, spacing)
        # The mask's own blurred edge, cut at the mask: nothing changes outside of it.
        soft = ndimage.gaussian_filter(lesion.astype(np.float32), EDGE_MM / spacing)
        sigma = float(NOISE_MM / np.exp(np.log(spacing).mean()))
        uneven = 1 + NOISE * smooth_noise(rng, host.shape, max(sigma, 0.5))
        pattern[lesion] = (contrast / scale * soft * uneven * around)[lesion]
    return pattern


def _local(values: np.ndarray, healthy: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Mean of healthy tissue around every voxel; where there is none near, of all of it."""
    sigma = LOCAL_MM / spacing
    weight = ndimage.gaussian_filter(healthy.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(healthy, values, 0).astype(np.float32), sigma)
    everywhere = float(values[healthy].mean()) if healthy.any() else 0.0
    return np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), everywhere)


def _of_range(
    kind: str,
    host: np.ndarray,
    brain: np.ndarray,
    lesion: np.ndarray,
    spacing: np.ndarray,
    low: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Intensities (x, y, z) relative to the normal range, and how much of them (0 to 1) counts."""
    rest = brain & ~lesion
    healthy = host[rest if rest.any() else brain]
    darkest, brightest = (float(one) for one in np.percentile(healthy, [1, 99]))
    span = max(brightest - darkest, 1e-6)
    beyond = rng.uniform(*BEYOND) * span
    if kind == "above":
        level, limits = brightest + beyond, (brightest, np.inf)
    elif kind == "below":
        level, limits = darkest - beyond, (low, darkest)
    else:
        level = _elsewhere(healthy, float(host[lesion].mean()), span, rng)
        limits = (darkest, brightest)
    mm = float(np.exp(np.log(spacing).mean()))
    texture = smooth_noise(rng, host.shape, max(rng.uniform(*TEXTURE_MM) / mm, 0.5))
    wanted = np.clip(level + rng.uniform(*UNEVEN) * span * texture, *limits)
    # From the edge inwards, so that the core is what was wanted.
    depth = ndimage.distance_transform_edt(lesion, sampling=spacing)
    return wanted, np.clip(depth / rng.uniform(*EDGES_MM), 0, 1)


def _elsewhere(healthy: np.ndarray, here: float, span: float, rng: np.random.Generator) -> float:
    """An intensity of this brain that is not the one here, or the one that is farthest from it."""
    levels = np.percentile(healthy, np.arange(5, 96))
    far = levels[np.abs(levels - here) >= APART * span]
    return float(rng.choice(far)) if len(far) else float(levels[np.abs(levels - here).argmax()])
