"""Sign prior, slightly eroded brain mask, 3D median. Baur et al. 2021, section III-C."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from normscan.errors import ConfigError, NormscanError
from normscan.postprocessing.median import median_filter

PRIORS = ("none", "hyperintense", "hypointense")


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
    raise ConfigError(f"prior: found '{prior}'; allowed: {', '.join(PRIORS)}")


def eroded(brain: np.ndarray, voxels: int) -> np.ndarray:
    """The brain mask (x, y, z) eroded in-plane, slice by slice, as slices are what models see.

    The paper says "slightly eroded" and no more. Here as in code of the field that follows it: a
    cross of four neighbours, ``voxels`` times. In-plane, because slices may be several times
    thicker than voxels are wide; in voxels and not in mm, because what is to be removed, the
    model's errors along sharp edges, is as wide as the voxels that the model sees. What lies beyond
    the volume does not count as brain.
    """
    if voxels == 0:
        return brain.astype(bool)
    cross = ndimage.generate_binary_structure(2, 1)[:, :, None]
    return ndimage.binary_erosion(brain, cross, iterations=voxels)


def filter_map(
    signed: np.ndarray,
    brain: np.ndarray,
    *,
    prior: str,
    erosion: int,
    median: int,
    threads: int = 1,
) -> np.ndarray:
    """A filtered anomaly map: float32, >= 0, high means anomalous, zero outside the eroded mask.

    The median sees zeros outside of the eroded mask, as in the paper; the mask is applied once more
    after it, so that nothing is smeared to where nothing was scored.

    Parameters
    ----------
    signed : (x, y, z) signed map of a detector.
    brain : (x, y, z) bool.
    prior : see :func:`apply_prior`.
    erosion : in-plane erosion of the mask in voxels.
    median : width of the 3D median kernel, odd; 1 for none.
    threads : for the median.

    Raises
    ------
    NormscanError : map and mask differ in shape, or scores in the brain are not finite.
    ConfigError : an unknown prior or an even kernel.
    """
    if signed.shape != brain.shape:
        raise NormscanError(
            f"the anomaly map has shape {signed.shape}, the brain mask {brain.shape}; both must be "
            "on the slice grid"
        )
    inside = eroded(brain, erosion)
    score = np.where(inside, apply_prior(signed, prior), 0).astype(np.float32)
    if not np.isfinite(score).all():
        raise NormscanError("the anomaly map has scores in the brain that are not finite")
    return np.where(inside, median_filter(score, median, threads), np.float32(0))
