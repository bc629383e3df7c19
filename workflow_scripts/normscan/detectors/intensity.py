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

from normscan.detectors.base import BRAIN, Detection
from normscan.errors import ConfigError
from normscan.slices.batch import Batch

TITLE = "the training-free intensity baseline"
CITE = ["meissen2021"]
LINE = "solid"
BASELINE = True
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


class Intensity:
    """Share of the scan's brain voxels that are at most as bright as each voxel.

    Raises
    ------
    ConfigError : the slices lack the contrast, or there is no such direction.
    """

    def __init__(
        self,
        model: None,
        *,
        device: Any = None,
        contrasts: Sequence[str],
        contrast: str,
        direction: str,
    ):
        if direction not in ("bright", "dark"):
            raise ConfigError(f"direction: found '{direction}'; allowed: bright, dark")
        self.sign = 1 if direction == "bright" else -1
        self.channel = _channel(contrast, contrasts)

    def detect(self, scan: Batch[np.ndarray], seed: int = 0) -> Detection:
        """A map in [0, 1], never negative; with direction ``dark`` in [-1, 0], the share of voxels
        that are at most as dark. 0 outside the brain. No reconstruction.

        Parameters
        ----------
        seed : not used.
        """
        brain = scan.layers[BRAIN] > 0
        scores = np.zeros(brain.shape, np.float32)
        values = self.sign * np.asarray(scan.targets[:, self.channel])[brain]
        scores[brain] = self.sign * equalise(values)
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


prepare = Intensity
