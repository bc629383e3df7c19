"""Bias field correction: slow intensity changes of the coil are divided out.

Source: N4 (Tustison et al., IEEE TMI 2010) in SimpleITK with its default settings; the protocols
that name bias correction give no values. The field is estimated on a grid shrunk by four inside
the brain mask (2 s instead of 48 s on a clinical scan) and applied at full resolution.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from normscan.errors import ConfigError
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.images import change_images
from normscan.preprocessing.itk import SimpleITK, from_itk, to_itk
from normscan.preprocessing.volumes import Prepared

SETTINGS = {"method": "n4", "shrink": 4, "iterations": 50}
ALLOWED = {
    "method": ["n4"],
    "shrink": "1..",
    "iterations": "1..10000",
}
MEANING = {
    "method": "of the correction",
    "shrink": "factor by which the grid is shrunk to estimate the field",
    "iterations": "at most, on each of four levels",
}
LEVELS = 4
SMALLEST_SIDE = 16
USUAL_NEGATIVE = 0.05
LOG = logging.getLogger("normscan")


def run(
    prepared: Prepared, folder: Path, *, seed: int, method: str, shrink: int, iterations: int
) -> Prepared:
    """Correct every volume of a scan.

    Parameters
    ----------
    method : ``n4``.
    shrink : factor by which the grid is shrunk to estimate the field.
    iterations : at most, on each of four levels.
    """
    if method != "n4":
        raise ConfigError(f"correct_bias.method: found '{method}'; allowed: n4")

    def change(contrast: str, data: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        return n4(data, brain, grid, shrink, iterations)

    return change_images(prepared, folder, "correct_bias", change)


def n4(
    data: np.ndarray, brain: np.ndarray, grid: Grid, shrink: int = 4, iterations: int = 50
) -> np.ndarray:
    """A volume (float32, any shape) divided by its estimated bias field.

    Values at or below zero are kept as they are: N4 works on logarithms. A volume that is negative
    in more than a twentieth of the brain (z-scored before) is returned unchanged.
    """
    if (data[brain] < 0).mean() > USUAL_NEGATIVE:
        LOG.warning("bias correction left out: the volume has many negative values (z-scored?)")
        return data
    # Without a brain mask the air around a head must not count.
    usable = brain & (data > 0)
    if usable.all():
        usable = data > data.mean() * 0.5
    if usable.sum() < SMALLEST_SIDE**3 / 8:
        return data
    image, mask = to_itk(data, grid), to_itk(usable, grid, np.uint8)
    factors = [max(min(int(shrink), side // SMALLEST_SIDE), 1) for side in data.shape]
    corrector = SimpleITK.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([int(iterations)] * LEVELS)
    corrector.SetNumberOfThreads(1)
    corrector.Execute(SimpleITK.Shrink(image, factors), SimpleITK.Shrink(mask, factors))
    field = from_itk(corrector.GetLogBiasFieldAsImage(image))
    return np.where(data > 0, data / np.exp(field), data).astype(np.float32)
