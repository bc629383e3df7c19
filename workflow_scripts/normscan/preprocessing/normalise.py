"""Intensities of different scans brought to one scale.

Sources: ``percentile``: Baur et al. 2021, section 3.4.5 (divided by the scan's 98th percentile);
``minmax``: You et al. 2019; ``zscore``: Kim et al. 2021; ``white_matter_peak``: Kobayashi et al.
2021, section III-B.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normscan.errors import ConfigError, ScanError
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.images import change_images
from normscan.preprocessing.volumes import Prepared
from normscan.preprocessing.white_matter import white_matter_peak

SETTINGS = {"method": "percentile", "percentile": 98, "ceiling": None}
ALLOWED = {
    "method": ["percentile", "zscore", "minmax", "white_matter_peak"],
    "percentile": ">0..100",
    "ceiling": ">0..",
}
# Which voxels count is known by then.
AFTER = ["find_body"]
METHODS = ("percentile", "zscore", "minmax", "white_matter_peak")
# Interpolation leaves a few values below zero; more than this comes from scans z-scored before.
USUAL_NEGATIVE = 0.05


def run(
    prepared: Prepared,
    folder: Path,
    *,
    seed: int,
    method: str,
    percentile: float,
    ceiling: float | None,
) -> Prepared:
    """Normalise every volume of a scan by values of its own brain; outside it becomes zero.

    Parameters
    ----------
    method : ``percentile``: negative values become 0, then division by the percentile of the
        brain's values (scans that were z-scored before, more than 5 % of the brain below zero, are
        first raised by their 1st percentile, so that dark tissue is not lost); ``zscore``: mean 0
        and standard deviation 1 in the brain; ``minmax``: the brain's minimum becomes 0 and its
        maximum 1; ``white_matter_peak``: the minimum becomes 0, the peak of white matter in the
        histogram 0.5 and the maximum 1, linearly between them. The mask may be that of the brain or
        of the whole body (``find_body``).
    percentile : per cent.
    ceiling : values above it are set to it (``percentile`` only). None keeps them: the brightest
        2 % lie above 1, and in them the very lesions that are looked for. The paper names [0, 1]
        as range and does not say what becomes of values above.

    Raises
    ------
    ConfigError : unknown method. ScanError : the brain is constant, or has no peak of white matter;
        ``white_matter_peak`` without any mask.
    """
    if method not in METHODS:
        raise ConfigError(f"normalise.method: found '{method}'; allowed: {', '.join(METHODS)}")
    if method == "white_matter_peak" and not prepared.brain:
        raise ScanError(
            prepared.scan,
            next(iter(prepared.images.values()), "no volume"),
            "has no mask of brain or body, in which to look for white matter",
            "put 'find_body' or 'strip_skull' before 'normalise'",
        )

    def change(contrast: str, data: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        try:
            if method == "white_matter_peak":
                peak = white_matter_peak(data, brain, grid.spacing, contrast)
                return around_peak(data, brain, peak)
            return normalised(data, brain, method, percentile, ceiling)
        except ValueError as error:
            path = prepared.images[contrast]
            raise ScanError(prepared.scan, path, str(error), "look at the volume") from None

    return change_images(prepared, folder, "normalise", change)


def normalised(
    data: np.ndarray,
    brain: np.ndarray,
    method: str = "percentile",
    percentile: float = 98,
    ceiling: float | None = None,
) -> np.ndarray:
    """A volume (float32, any shape) on the common scale, zero outside of ``brain``.

    Raises ValueError when the brain's values are constant or not positive.
    """
    values = data[brain].astype(np.float64)
    if method == "zscore":
        low, span = values.mean(), values.std()
    elif method == "minmax":
        low, span = values.min(), values.max() - values.min()
    else:
        if (values < 0).mean() > USUAL_NEGATIVE:
            values = values - np.percentile(values, 1)
        values = np.maximum(values, 0)
        low, span = 0.0, np.percentile(values, percentile)
    if not span > 0:
        raise ValueError("is constant or zero inside of the brain")
    result = np.zeros(data.shape, dtype=np.float32)
    scaled = (values - low) / span
    if method == "percentile" and ceiling is not None:
        scaled = np.minimum(scaled, ceiling)
    result[brain] = scaled
    return result


def around_peak(data: np.ndarray, mask: np.ndarray, peak: float) -> np.ndarray:
    """A volume (float32, any shape) with minimum, peak and maximum at 0, 0.5 and 1.

    Zero outside of ``mask``, whose values count. Raises ValueError when the peak is not strictly
    between minimum and maximum.
    """
    values = data[mask].astype(np.float64)
    low, high = values.min(), values.max()
    if not low < peak < high:
        raise ValueError(
            f"has values from {low:g} to {high:g}, and white matter's peak at {peak:g}"
        )
    result = np.zeros(data.shape, dtype=np.float32)
    result[mask] = np.interp(values, [low, peak, high], [0.0, 0.5, 1.0])
    return result
