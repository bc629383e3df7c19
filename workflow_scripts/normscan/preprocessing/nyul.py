"""Piecewise linear mapping of intensities to a standard scale by landmarks that lesions spare.

Source: Nyul, Udupa, Zhang 2000. There the landmarks are the deciles and two ends of the histogram,
and a bright lesion pulls the upper ones up and with them healthy tissue down. Assumed here: no
landmark above the median, or white matter's peak where that is brighter (T1w); bright voxels are
set aside before percentiles are taken; beyond the last landmark the line from the first one to it
goes on, since pieces between are too short to say how bright a lesion is.

The standard scale is fixed (:data:`STANDARD`) instead of learnt from healthy scans, as in the
paper: a scan's result then depends on that scan alone, no scan has to be ready before the others,
and a bundle needs to keep nothing. Its values are near those of real T1w and FLAIR brains, and the
same for every contrast: one of another shape is bent a little, alike in all scans.
"""

from __future__ import annotations

import numpy as np

from normscan.preprocessing.robust import brain_median, without_bright

# Percentiles of the brain without bright voxels, and their places as shares of the median's.
STANDARD = {2.0: 0.05, 25.0: 0.85, 50.0: 1.0}
# Of white matter's peak, where it lies above the median by more than this share.
PEAK, ABOVE = 1.15, 0.03


def landmarks(values: np.ndarray, peak: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A brain's landmarks and their places on the standard scale, both increasing.

    Parameters
    ----------
    values : (n,) intensities, none negative.
    peak : intensity of white matter; None: not known.

    Raises
    ------
    ValueError : values are constant or not positive.
    """
    middle = brain_median(values)
    found = np.percentile(without_bright(values), list(STANDARD))
    places = np.array(list(STANDARD.values()))
    if peak is not None and peak > (1 + ABOVE) * middle:
        found, places = np.append(found, peak), np.append(places, PEAK)
    if not (np.diff(found) > 0).all():
        raise ValueError("is constant inside of the brain: its landmarks coincide")
    return found, places


def mapped(values: np.ndarray, found: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values (n,) on the standard scale, increasing; 0 and what is below it becomes 0."""
    slope = (places[-1] - places[0]) / (found[-1] - found[0])
    result = np.interp(values, found, places)
    result = np.where(values > found[-1], places[-1] + slope * (values - found[-1]), result)
    # From zero to the first landmark: what is emptied stays empty.
    dark = values < found[0]
    return np.where(dark, places[0] * np.maximum(values, 0) / max(found[0], 1e-12), result)
