"""How abnormal each slice is as a whole; nothing is said of its pixels.

Source: Ruff et al. 2018, "Deep one-class classification", Eq. 5, for one.
"""

from __future__ import annotations

import numpy as np

from normscan.detectors.base import Detection
from normscan.detectors.scored import Scored
from normscan.slices.batch import Batch

TITLE = "the score of each slice"
CITE = ["ruff2018"]
LINE = "dotted"
LEVELS = {"slice"}
NEEDS = {"score_slices"}
# batch_size: slices at once; None = what suits the device.
SETTINGS = {"batch_size": None}
ALLOWED = {"batch_size": "whole 1.."}
SIGNED = False
RESIDUAL = False


class SliceScores(Scored):
    """``model.score_slices(slices)``."""

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The scores."""
        return Detection(scores=self.scores(self.model.score_slices, scan))


prepare = SliceScores
