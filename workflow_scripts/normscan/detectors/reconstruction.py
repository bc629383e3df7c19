"""Residual of input and reconstruction. Baur et al. 2021, Eq. 2."""

from __future__ import annotations

import numpy as np
import torch

from normscan.detectors.base import Detection, in_batches, signed_score

NEEDS = {"reconstruct"}
SETTINGS = {"batch_size": 32}


@torch.no_grad()
def detect(
    model,
    slices: np.ndarray,
    brain: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    contrasts: list[str],
    batch_size: int,
) -> Detection:
    """Signed residual x - x_hat of every slice.

    Parameters
    ----------
    model : in evaluation mode.
    slices : (n, contrasts, h, w) float32 of one scan.
    brain : (n, h, w) bool; not used.
    """

    def work(batch: torch.Tensor, start: int):
        expected = model.reconstruct(batch)
        residual = batch - expected
        return signed_score(residual.abs(), residual), expected

    return in_batches(slices, batch_size, device, work)
