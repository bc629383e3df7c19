"""Denoising with edges kept.

Source: Baur et al. 2021, section 3.4.5: CurvatureFlow (Sethian 1999) of ITK. Iterations and time
step are not given in the paper; the defaults of SimpleITK are used (5 iterations of 0.0625), which
is also the largest stable step in 3D.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from normscan.errors import ConfigError
from normscan.preprocessing.grids import Grid
from normscan.preprocessing.images import change_images
from normscan.preprocessing.itk import SimpleITK, from_itk, to_itk
from normscan.preprocessing.volumes import Prepared

SETTINGS = {"method": "curvature", "iterations": 5, "time_step": 0.0625}
ALLOWED = {
    "method": ["curvature"],
    "iterations": "0..10000",
    "time_step": ">0..",
}
MEANING = {
    "method": "curvature flow",
    "iterations": "number of steps",
    "time_step": "size of a step",
}


def run(
    prepared: Prepared, folder: Path, *, seed: int, method: str, iterations: int, time_step: float
) -> Prepared:
    """Denoise every volume of a scan; outside of its brain mask nothing changes.

    Parameters
    ----------
    method : ``curvature``.
    iterations : number of steps.
    time_step : size of a step.
    """
    if method != "curvature":
        raise ConfigError(f"denoise.method: found '{method}'; allowed: curvature")

    def change(contrast: str, data: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        return np.where(brain, curvature_flow(data, iterations, time_step), data)

    return change_images(prepared, folder, "denoise", change)


def curvature_flow(data: np.ndarray, iterations: int = 5, time_step: float = 0.0625) -> np.ndarray:
    """A volume (float32, any shape) after some steps of curvature flow, in voxel units."""
    unit = Grid(data.shape, np.eye(4))
    flow = SimpleITK.CurvatureFlowImageFilter()
    flow.SetNumberOfIterations(int(iterations))
    flow.SetTimeStep(float(time_step))
    flow.SetNumberOfThreads(1)
    return from_itk(flow.Execute(to_itk(data, unit)))
