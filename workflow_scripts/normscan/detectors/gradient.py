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
    batch_size,
    batches,
    elbo_and_gradient,
    for_inference,
    signed_score,
)

NEEDS = {"elbo", "reconstruct"}
# residual: weight the residual by the gradient's magnitude; else the magnitude alone.
# batch_size: slices at once; None = what suits the device.
SETTINGS = {"residual": True, "batch_size": None}
ALLOWED = {
    "batch_size": "whole 1..",
}
SIGNED = True
# Weighted by the gradient: no longer in units of intensity.
RESIDUAL = False


def detect(
    model: Any,
    slices: np.ndarray,
    brain: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    contrasts: Sequence[str] = (),
    **settings: Any,
) -> Detection:
    """Weighted input minus ``model.reconstruct(input)``; arguments as in ``detectors.base``."""
    chosen = {**SETTINGS, **settings}
    model = for_inference(model, device)
    scores, expectations = empty_arrays(slices)
    for where, batch in batches(slices, batch_size(chosen["batch_size"], device), device):
        weight = elbo_and_gradient(model, batch)[1].abs()
        with torch.no_grad():
            expected = model.reconstruct(batch)
            residual = batch - expected
            seen = residual if chosen["residual"] else residual.sign()
            scores[where] = signed_score(weight * seen).cpu().numpy()
            expectations[where] = expected.cpu().numpy()
    return Detection(scores, expectations)
