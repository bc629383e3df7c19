"""Residual of a reconstruction: what a model of normal slices cannot give back.

Source: Baur et al. 2021, sections II-B and III-C.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from normscan.detectors.base import Detection, empty_arrays
from normscan.detectors.inference import batches, for_inference, signed_score, suitable_size
from normscan.models.capabilities import Reconstructs
from normscan.slices.batch import Batch

TITLE = "the residual of the reconstruction"
CITE = ["baur2021"]
LINE = "solid"
EXPECTED = "reconstruction"
NEEDS = {"reconstruct"}
# batch_size: slices at once; None = what suits the device.
SETTINGS = {"batch_size": None}
ALLOWED = {
    "batch_size": "whole 1..",
}
SIGNED = True
RESIDUAL = True


class Reconstruction:
    """Targets minus ``model.reconstruct(slices)``; arguments as in ``detectors.base``."""

    def __init__(
        self,
        model: Reconstructs,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        batch_size: int | None,
    ):
        self.model, self.device = for_inference(model, device), device
        self.size = suitable_size(batch_size, device)

    @torch.inference_mode()
    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The residual, and the reconstruction."""
        scores, expectations = empty_arrays(scan)
        for where, batch in batches(scan, self.size, self.device):
            expected = self.model.reconstruct(batch.slices)
            scores[where] = signed_score(batch.targets - expected).cpu().numpy()
            expectations[where] = expected.cpu().numpy()
        return Detection(scores, expectations)


prepare = Reconstruction
