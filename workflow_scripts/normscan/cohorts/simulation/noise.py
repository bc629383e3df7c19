"""Random streams and smooth noise."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def stream(seed: int, cohort: str, subject: str, purpose: str) -> np.random.Generator:
    """The random stream of one purpose (anatomy, lesions, a contrast) of one subject.

    It depends on these four alone: adding subjects or contrasts changes no other image.
    """
    digest = hashlib.sha256(f"{seed}|{cohort}|{subject}|{purpose}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, "<u4"))


def smooth_noise(rng: np.random.Generator, shape: Sequence[int], sigma: float) -> np.ndarray:
    """Gaussian noise of unit variance, smoothed by ``sigma`` voxels.

    Scaled by the expected, not the found, standard deviation: a small patch of very smooth noise
    is nearly constant, and must not be blown up.
    """
    field = ndimage.gaussian_filter(rng.standard_normal(tuple(shape)), sigma, mode="reflect")
    alone = np.zeros(2 * int(4 * sigma + 1) + 1)
    alone[len(alone) // 2] = 1
    weights = ndimage.gaussian_filter1d(alone, sigma, mode="constant")
    return field / np.sqrt((weights**2).sum() ** len(shape))


def resized(
    volume: np.ndarray,
    step: Sequence[float] | float,
    shape: Sequence[int],
    offset: Sequence[float] | float = 0.0,
) -> np.ndarray:
    """A volume at ``offset + step * index`` for every index of ``shape``, linearly interpolated.

    Outside of the volume its nearest value counts. float32.
    """
    steps = np.broadcast_to(np.asarray(step, float), (volume.ndim,))
    with warnings.catch_warnings():
        # scipy warns, whatever its argument, that a vector as matrix means something since 0.18.
        warnings.simplefilter("ignore", UserWarning)
        return ndimage.affine_transform(
            volume,
            steps,
            offset,
            output_shape=tuple(shape),
            order=1,
            mode="nearest",
            output=np.float32,
        )
