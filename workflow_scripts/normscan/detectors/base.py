"""What detectors share: their result, signed scores, batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Detection:
    """Anomaly maps of the slices of one scan.

    Attributes
    ----------
    map : (n, h, w) float32. The absolute value is the anomaly score, the sign that of input minus
        expectation, so that a sign prior can be applied later.
    reconstruction : (n, contrasts, h, w) float32, what the model expected; None where there is none.
    """

    map: np.ndarray
    reconstruction: np.ndarray | None = None


def signed_score(score: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Mean score over contrasts (n, h, w), with the sign of the mean residual.

    Parameters
    ----------
    score : (n, contrasts, h, w), >= 0.
    residual : (n, contrasts, h, w), input minus expectation.
    """
    return torch.copysign(score.mean(1), residual.mean(1))


def on_device(slices: np.ndarray, device: torch.device) -> torch.Tensor:
    """Slices (n, contrasts, h, w) as a channels-last float32 tensor."""
    tensor = torch.as_tensor(np.ascontiguousarray(slices, np.float32)).to(device)
    return tensor.contiguous(memory_format=torch.channels_last)


def in_batches(
    slices: np.ndarray,
    size: int,
    device: torch.device,
    work: Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]],
) -> Detection:
    """Apply ``work(batch, number of its first slice) -> (map, reconstruction)`` to all slices."""
    maps, expected = [], []
    for start in range(0, len(slices), size):
        batch = on_device(slices[start : start + size], device)
        found, reconstruction = work(batch, start)
        maps.append(found.float().cpu().numpy())
        expected.append(reconstruction.float().contiguous().cpu().numpy())
    return Detection(np.concatenate(maps), np.concatenate(expected))


def slice_noise_seed(seed: int, number: int) -> int:
    """Seed of one slice's random numbers: no other slice or batch size has a part in it."""
    return (seed * 1_000_003 + number * 7919 + 17) % 2**63
