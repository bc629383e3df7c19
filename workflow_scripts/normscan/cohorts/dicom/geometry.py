"""Do the images of a series make one volume: parallel, equally spaced, none missing, no shear?

The converter cannot be asked: of slices that are shifted against each other it writes a volume that
is not sheared, and of unequally spaced ones another one that is interpolated.
"""

from __future__ import annotations

import numpy as np

from normscan.cohorts.dicom.series import Series

# Positions are written with few digits; a missing slice is a whole spacing.
SPACING_MM, SPACING_SHARE = 0.05, 0.05
SAME_PLACE_MM = 1e-3
DIRECTION = 1e-3
SHIFT_MM = 0.25


def geometry_problem(series: Series) -> str:
    """What keeps a series from being one volume, and what to do; empty when nothing does.

    A series of one file may hold all slices (enhanced DICOM): of it nothing is known here.
    """
    if len(series.files) < 2:
        return ""
    positions = [one for one in series.positions if one is not None]
    directions = [one for one in series.orientations if one is not None]
    if len(positions) < len(series.files) or len(directions) < len(series.files):
        return "some files do not say where their slice lies; export the series again"
    orientation = np.stack(directions)
    if np.abs(orientation - orientation[0]).max() > DIRECTION:
        return "its slices have several directions, as in a localizer; choose another series"
    row, column = orientation[0, :3], orientation[0, 3:]
    if abs(row @ column) > DIRECTION:
        return "its rows and columns are not at right angles; export the series again"
    return _stack_problem(np.stack(positions), np.cross(row, column))


def _stack_problem(positions: np.ndarray, normal: np.ndarray) -> str:
    """Of slices at ``positions`` (n, 3) with one ``normal``."""
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    heights, positions = heights[order], positions[order]
    steps = np.diff(heights)
    usual = float(np.median(steps))
    if (steps < SAME_PLACE_MM).any():
        places = 1 + int((steps >= SAME_PLACE_MM).sum())
        return (
            f"has {len(heights)} images at {places} places, so more than one volume (echoes, "
            "phases, times); choose a series of one, or export one of them"
        )
    far = np.abs(steps - usual) > max(SPACING_MM, SPACING_SHARE * usual)
    if far.any():
        where = int(np.argmax(np.abs(steps - usual)))
        return (
            f"its slices are not equally spaced: {usual:.4g} mm apart, but {steps[where]:.4g} mm "
            f"between the {_ordinal(where + 1)} and the next of {len(heights)}; slices are missing "
            "or from several scans: export the series again, whole"
        )
    shift = positions - positions[0] - np.outer(heights - heights[0], normal)
    if (largest := float(np.linalg.norm(shift, axis=1).max())) > SHIFT_MM:
        return (
            f"its slices are shifted against each other by up to {largest:.3g} mm (a tilted "
            "gantry); reslice it before"
        )
    return ""


def _ordinal(number: int) -> str:
    if 10 <= number % 100 < 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
