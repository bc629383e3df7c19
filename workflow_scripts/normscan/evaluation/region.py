"""Which voxels are evaluated."""

from __future__ import annotations

import numpy as np


def evaluated_region(brain: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """Brain mask and lesion voxels together: what skull stripping cut off counts as missed.

    The region is not given in Baur et al. 2021. Air is left out, because its zeros raise AUROC
    without telling anything.
    """
    return brain | lesion
