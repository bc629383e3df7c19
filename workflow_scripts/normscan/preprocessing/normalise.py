"""Intensities of different scans brought to one scale.

Sources: ``percentile``: Baur et al. 2021, section 3.4.5 (divided by the scan's 98th percentile);
``minmax``: You et al. 2019; ``zscore``: Kim et al. 2021; ``white_matter_peak``: Kobayashi et al.
2021, section III-B. ``median``, ``tissue_peak``, ``nyul``: scales that lesions do not move, see
``robust.py``, ``tissue_peak.py`` and ``nyul.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normscan.errors import ConfigError, ScanError
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.images import change_images
from normscan.preprocessing.nyul import landmarks, mapped
from normscan.preprocessing.robust import brain_median, without_negatives
from normscan.preprocessing.tissue_peak import tissue_peak, white_matter_of
from normscan.preprocessing.volumes import Prepared
from normscan.preprocessing.white_matter import white_matter_peak

SETTINGS = {"method": "percentile", "percentile": 98, "ceiling": None, "level": 1.0}
ALLOWED = {
    "method": [
        "percentile",
        "zscore",
        "minmax",
        "white_matter_peak",
        "median",
        "tissue_peak",
        "nyul",
    ],
    "percentile": ">0..100",
    "ceiling": ">0..",
    "level": ">0..",
}
MEANING = {
    "method": "what the brain's intensities are scaled by (docs/intensities.md)",
    "percentile": "of the brain's intensities, for that method [per cent]",
    "ceiling": "of percentile: values above it are set to it; null keeps them",
    "level": "value that the median (median, nyul) or white matter (tissue_peak) gets",
}
# Which voxels count is known by then.
AFTER = ["find_body"]
METHODS = tuple(ALLOWED["method"])
# Methods that large lesions do not move, and all that cannot do with air among the brain's voxels.
ROBUST = ("median", "tissue_peak", "nyul")
MASKED = ("white_matter_peak", *ROBUST)


def run(
    prepared: Prepared,
    folder: Path,
    *,
    seed: int,
    method: str,
    percentile: float,
    ceiling: float | None,
    level: float,
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

        Not moved by lesions: ``median``: division by the brain's median, bright lesions set aside;
        ``tissue_peak``: by the intensity of white matter, where a tissue map or T1w shows it, else
        by its peak in the scan's own histogram; ``nyul``: piecewise linear to fixed landmarks up to
        the median. Negative values become 0 as with ``percentile``.
    percentile : per cent.
    ceiling : values above it are set to it (``percentile`` only). None keeps them: the brightest
        2 % lie above 1, and in them the very lesions that are looked for. The paper names [0, 1]
        as range and does not say what becomes of values above.
    level : value that the median (``median``, ``nyul``) or white matter (``tissue_peak``) gets.
        Networks whose output ends in [0, 1] need one below 1, such as 0.5.

    Raises
    ------
    ConfigError : unknown method. ScanError : the brain is constant, or has no peak of white matter;
        one of :data:`MASKED` without any mask.
    """
    if method not in METHODS:
        raise ConfigError(f"normalise.method: found '{method}'; allowed: {', '.join(METHODS)}")
    if method in MASKED and not prepared.brain:
        raise ScanError(
            prepared.scan,
            next(iter(prepared.images.values()), "no volume"),
            f"has no mask of brain or body, which method '{method}' looks in",
            "put 'find_body' or 'strip_skull' before 'normalise'",
        )
    white = white_matter_of(prepared)

    def change(contrast: str, data: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        try:
            if method == "white_matter_peak":
                peak = white_matter_peak(data, brain, grid.spacing, contrast)
                return around_peak(data, brain, peak)
            if method == "median":
                return by_median(data, brain, level)
            if method in ROBUST:
                peak = tissue_peak(data, brain, grid.spacing, contrast, white(grid, brain))
                by = by_nyul if method == "nyul" else by_tissue_peak
                return by(data, brain, peak, level)
            return normalised(data, brain, method, percentile, ceiling)
        except ValueError as error:
            path = prepared.images[contrast]
            raise ScanError(prepared.scan, path, str(error), "look at the volume") from None

    return change_images(prepared, folder, "normalise", change)


def by_median(data: np.ndarray, brain: np.ndarray, level: float = 1.0) -> np.ndarray:
    """A volume (float32, any shape) whose brain has the median ``level``, zero outside.

    Raises ValueError when the median is not positive, as the other two.
    """
    values = without_negatives(data[brain])
    return _filled(brain, level / brain_median(values) * values)


def by_tissue_peak(
    data: np.ndarray, brain: np.ndarray, peak: float, level: float = 1.0
) -> np.ndarray:
    """The same with white matter, at intensity ``peak`` (``tissue_peak``), at ``level``."""
    return _filled(brain, level / peak * without_negatives(data[brain]))


def by_nyul(
    data: np.ndarray, brain: np.ndarray, peak: float | None = None, level: float = 1.0
) -> np.ndarray:
    """The same mapped piecewise linearly (``nyul``), the median at ``level``."""
    values = without_negatives(data[brain])
    return _filled(brain, level * mapped(values, *landmarks(values, peak)))


def _filled(brain: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A volume (float32) with ``values`` in the brain and zero elsewhere."""
    result = np.zeros(brain.shape, np.float32)
    result[brain] = values
    return result


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
        values = without_negatives(values)
        low, span = 0.0, np.percentile(values, percentile)
    if not span > 0:
        raise ValueError("is constant or zero inside of the brain")
    scaled = (values - low) / span
    if method == "percentile" and ceiling is not None:
        scaled = np.minimum(scaled, ceiling)
    return _filled(brain, scaled)


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
    return _filled(mask, np.interp(values, [low, peak, high], [0.0, 0.5, 1.0]))
