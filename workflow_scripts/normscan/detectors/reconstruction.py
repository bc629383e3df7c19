"""Residual of a reconstruction: what a model of normal slices cannot give back.

Source: Baur et al. 2021, sections II-B and III-C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from normscan.detectors.base import Detection, empty_arrays
from normscan.detectors.inference import batch_size, batches, for_inference, signed_score

NEEDS = {"reconstruct"}
# batch_size: slices at once; None = what suits the device.
SETTINGS = {"batch_size": None}
ALLOWED = {
    "batch_size": "whole 1..",
}
SIGNED = True
RESIDUAL = True


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
    """Input minus ``model.reconstruct(input)``; arguments as in :mod:`normscan.detectors.base`."""
    chosen = {**SETTINGS, **settings}
    model = for_inference(model, device)
    scores, expectations = empty_arrays(slices)
    size = batch_size(chosen["batch_size"], device)
    with torch.inference_mode():
        for where, batch in batches(slices, size, device):
            expected = model.reconstruct(batch)
            scores[where] = signed_score(batch - expected).cpu().numpy()
            expectations[where] = expected.cpu().numpy()
    return Detection(scores, expectations)
