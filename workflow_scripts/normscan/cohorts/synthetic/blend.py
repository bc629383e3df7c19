"""How a lesion comes onto a healthy scan.

Source: Chatterjee et al. 2022 (StRegA), Eq. 15: A' = A + M with M = B * S, a patient's image B
times its lesion mask S, the lesion's intensities normalised to 0..1 before. There A is in 0..1; raw
scans are not, so that M is multiplied by the host's scale.
"""

from __future__ import annotations

import numpy as np

# Not given in the paper, which adds to images in 0..1; the brightest voxels (vessels, fat at the
# edge) would decide a maximum alone.
SCALE_PERCENTILE = 99.0


def normalised(values: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """M of Eq. 15: intensities of a lesion between 0 (its darkest) and 1 (its brightest).

    Parameters
    ----------
    values : (x, y, z) image that shows the lesion.
    lesion : (x, y, z) booleans, not empty.

    Returns
    -------
    float32, zero outside of the lesion; a lesion of one intensity is 1.
    """
    inside = values[lesion].astype(np.float64)
    low, high = inside.min(), inside.max()
    found = np.zeros(values.shape, np.float32)
    found[lesion] = (inside - low) / (high - low) if high > low else 1.0
    return found


def intensity_range(host: np.ndarray, brain: np.ndarray) -> tuple[float, float]:
    """Lowest intensity of a scan, and how far its bright tissue (99th percentile) is above it."""
    low = float(host.min())
    return low, float(np.percentile(host[brain], SCALE_PERCENTILE)) - low


def blended(
    host: np.ndarray,
    pattern: np.ndarray,
    lesion: np.ndarray,
    *,
    strength: float,
    low: float,
    scale: float,
    blend: str,
) -> np.ndarray:
    """A' of Eq. 15; outside of the lesion the host to the bit.

    Parameters
    ----------
    host : (x, y, z) float32.
    pattern : (x, y, z) M, relative to the host's scale.
    lesion : (x, y, z) booleans.
    strength : factor of M.
    low, scale : of the host, as of :func:`intensity_range`.
    blend : ``add``: A + strength * scale * M; ``replace``: low + strength * scale * M.
    """
    result = np.array(host, dtype=np.float32)
    change = np.float32(strength * scale) * pattern[lesion].astype(np.float32)
    result[lesion] = change + (np.float32(low) if blend == "replace" else result[lesion])
    return result
