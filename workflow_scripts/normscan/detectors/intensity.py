"""Training-free baseline: intensity after histogram equalisation inside the brain.

Source: Meissen et al. 2021, "Challenging current semi-supervised anomaly segmentation methods for
brain MRI": on FLAIR, thresholding the equalised intensity beats most trained models. Equalisation is
by volume, over the voxels of the brain mask.
"""

from __future__ import annotations

import numpy as np
import torch

from normscan.detectors.base import Detection
from normscan.errors import ConfigError

NEEDS = {}
SETTINGS = {"contrast": "FLAIR"}


def detect(
    model,
    slices: np.ndarray,
    brain: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    contrasts: list[str],
    contrast: str,
) -> Detection:
    """Rank of each brain voxel's intensity among the scan's, in (0, 1]; zero outside.

    Equal intensities get equal (mean) ranks.

    Parameters
    ----------
    slices : all slices of one scan (n, contrasts, h, w).
    brain : (n, h, w) bool.
    contrast : which contrast is thresholded.
    """
    if contrast not in contrasts:
        raise ConfigError(
            f"intensity.contrast: found '{contrast}'; the slices have: {', '.join(contrasts)}"
        )
    values = np.asarray(slices[:, contrasts.index(contrast)], np.float32)
    found = np.zeros(values.shape, np.float32)
    inside = values[brain]
    if inside.size:
        _, place, counts = np.unique(inside, return_inverse=True, return_counts=True)
        ranks = np.cumsum(counts) - (counts - 1) / 2
        found[brain] = (ranks[place] / inside.size).astype(np.float32)
    return Detection(found)
