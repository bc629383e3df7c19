"""SimpleITK on one thread, and arrays as its images."""

from __future__ import annotations

import numpy as np
import SimpleITK

from normscan.preprocessing.grids import Grid

SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def to_itk(data: np.ndarray, grid: Grid, dtype=np.float32) -> SimpleITK.Image:
    """An array (x, y, z) as SimpleITK image with the grid's voxel sizes."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(data.T, dtype=dtype))
    image.SetSpacing([float(size) for size in grid.spacing])
    return image


def from_itk(image: SimpleITK.Image) -> np.ndarray:
    """The array (x, y, z) of a SimpleITK image."""
    return SimpleITK.GetArrayFromImage(image).T
