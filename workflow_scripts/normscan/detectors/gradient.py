"""Gradient of the evidence lower bound at the input: which pixels would have to change.

Source: Zimmerer et al. 2019, reference [7] of Baur et al. 2021, section II-B Eq. 4: one
back-propagation of the negative evidence lower bound to the image. The magnitude of the gradient
weights the residual (Zimmerer et al.; the study's text describes the gradient alone, which
``residual: false`` gives). The sign of the map is that of input minus reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from normscan.detectors.base import Detection, empty_arrays
from normscan.detectors.inference import (
    batches,
    elbo_and_gradient,
    for_inference,
    signed_score,
    suitable_size,
)
from normscan.slices.batch import Batch

TITLE = "the residual weighted by the gradient of the evidence lower bound"
CITE = ["zimmerer2018"]
LINE = "dashdot"
EXPECTED = "reconstruction"
NEEDS = {"elbo", "reconstruct"}
SETTINGS = {"residual": True, "batch_size": None}
ALLOWED = {
    "batch_size": "whole 1..",
}
MEANING = {
    "residual": "weight the residual by the gradient's magnitude; else the magnitude alone",
}
SIGNED = True
# Weighted by the gradient: no longer in units of intensity.
RESIDUAL = False


class Gradient:
    """Weighted targets minus ``model.reconstruct(slices)``; arguments as in ``detectors.base``."""

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        residual: bool,
        batch_size: int | None,
    ):
        self.model, self.device, self.residual = for_inference(model, device), device, residual
        self.size = suitable_size(batch_size, device)

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The weighted residual, or the weight with the residual's sign; and the reconstruction."""
        scores, expectations = empty_arrays(scan)
        for where, batch in batches(scan, self.size, self.device):
            weight = elbo_and_gradient(self.model, batch.slices)[1].abs()
            with torch.no_grad():
                expected = self.model.reconstruct(batch.slices)
                residual = batch.targets - expected
                seen = residual if self.residual else residual.sign()
                scores[where] = signed_score(weight * seen).cpu().numpy()
                expectations[where] = expected.cpu().numpy()
        return Detection(scores, expectations)


prepare = Gradient
