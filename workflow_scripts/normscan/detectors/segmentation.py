"""Probability of a lesion, as a model that learned from labels gives it, true or made ones.

Source: Baur, Albarqouni and Navab 2017 (section 2.4.2 of the thesis, Baur 2021), for one.
"""

from __future__ import annotations

import numpy as np

from normscan.detectors.base import Detection
from normscan.detectors.scored import Scored
from normscan.slices.batch import Batch

TITLE = "the probability of a lesion"
CITE = ["baur2017"]
LINE = "solid"
NEEDS = {"segment"}
# batch_size: slices at once; None = what suits the device.
SETTINGS = {"batch_size": None}
ALLOWED = {"batch_size": "whole 1.."}
SIGNED = False
RESIDUAL = False


class Segmentation(Scored):
    """``model.segment(slices)``."""

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The probabilities, in 0..1."""
        return Detection(self.scores(self.model.segment, scan))


prepare = Segmentation
