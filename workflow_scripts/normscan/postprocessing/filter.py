"""Sign prior, slightly eroded brain mask, 3D median. Baur et al. 2021, section III-C."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from normscan.errors import ConfigError
from normscan.postprocessing.median import median_filter


def apply_prior(signed: np.ndarray, prior: str) -> np.ndarray:
    """Anomaly score (>= 0) of a signed map under a sign prior.

    Parameters
    ----------
    signed : any shape; absolute value is the score, sign that of input minus expectation.
    prior : ``hyperintense`` (brighter than expected), ``hypointense`` or ``none`` (both).
    """
    if prior == "hyperintense":
        return np.maximum(signed, 0)
    if prior == "hypointense":
        return np.maximum(-signed, 0)
    if prior == "none":
        return np.abs(signed)
    raise ConfigError(f"prior: found '{prior}'; allowed: none, hyperintense, hypointense")


def eroded(brain: np.ndarray, voxels: int) -> np.ndarray:
    """The brain mask (x, y, z) eroded in-plane, slice by slice, as slices are what models see.

    How far is not given in the paper ("slightly eroded").
    """
    if voxels == 0:
        return brain
    cross = ndimage.generate_binary_structure(2, 1)[:, :, None]
    return ndimage.binary_erosion(brain, cross, iterations=voxels)


def filter_map(
    signed: np.ndarray, brain: np.ndarray, *, prior: str, erosion: int, median: int
) -> np.ndarray:
    """A filtered anomaly map: float32, >= 0, high means anomalous, zero outside the eroded mask.

    Parameters
    ----------
    signed : (x, y, z) signed map of a detector.
    brain : (x, y, z) bool.
    prior : see :func:`apply_prior`.
    erosion : in-plane erosion of the mask in voxels.
    median : width of the 3D median kernel, odd; 1 for none.
    """
    inside = eroded(brain, erosion)
    score = np.where(inside, apply_prior(signed, prior), 0).astype(np.float32)
    return np.where(inside, median_filter(score, median), 0).astype(np.float32)
