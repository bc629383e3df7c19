"""Training-free baseline: the brightness of a voxel among the brain's voxels of its scan.

Source: Meissen et al. 2021, "Challenging Current Semi-Supervised Anomaly Segmentation Methods for
Brain MRI": the histogram of the scan is equalised, the result thresholded. Here the equalisation is
exact, without bins, and over brain voxels only, so that neither the background nor the number of
bins counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from normscan.detectors.base import Detection
from normscan.errors import ConfigError

NEEDS = set()
# contrast: which one is looked at.
# direction: "bright" (white matter lesions, tumours on FLAIR) or "dark" (the same on T1w).
SETTINGS = {"contrast": "FLAIR", "direction": "bright"}
ALLOWED = {
    "contrast": "a contrast",
    "direction": ["bright", "dark"],
}
SIGNED = True
# A rank: nothing is reconstructed.
RESIDUAL = False


def detect(
    model: Any,
    slices: np.ndarray,
    brain: np.ndarray,
    *,
    seed: int = 0,
    device: Any = None,
    contrasts: Sequence[str] = (),
    **settings: Any,
) -> Detection:
    """Share of the scan's brain voxels that are at most as bright as each voxel.

    Parameters
    ----------
    model, seed, device : not used.
    slices : all slices of ONE scan (n, contrasts, height, width).
    brain : (n, height, width); outside the map is 0.
    contrasts : names of the channels.

    Returns
    -------
    detection : map in [0, 1], never negative; with direction ``dark`` in [-1, 0], the share of
        voxels that are at most as dark. No reconstruction.

    Raises
    ------
    ConfigError : the slices lack the contrast, or there is no such direction.
    """
    chosen = {**SETTINGS, **settings}
    if chosen["direction"] not in ("bright", "dark"):
        raise ConfigError(f"direction: found '{chosen['direction']}'; allowed: bright, dark")
    sign = 1 if chosen["direction"] == "bright" else -1
    channel = _channel(chosen["contrast"], contrasts)
    scores = np.zeros(brain.shape, np.float32)
    scores[brain] = sign * equalise(sign * np.asarray(slices[:, channel])[brain])
    return Detection(scores)


def equalise(values: np.ndarray) -> np.ndarray:
    """Share of all ``values`` (n,) that are at most as large as each; ties share theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) / max(1, len(values)))[place].astype(np.float32)


def _channel(contrast: str, contrasts: Sequence[str]) -> int:
    if contrast not in contrasts:
        raise ConfigError(
            f"contrast: found '{contrast}', but the slices hold {', '.join(contrasts) or 'none'}; "
            "name one of these, or add the contrast to the protocol"
        )
    return list(contrasts).index(contrast)
