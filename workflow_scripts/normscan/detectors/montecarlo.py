"""Mean residual over random reconstructions. Baur et al. 2021, Eq. 3 (Pawlowski et al. 2018)."""

from __future__ import annotations

import numpy as np
import torch

from normscan.detectors.base import Detection, in_batches, signed_score, slice_noise_seed

NEEDS = {"sample"}
SETTINGS = {"samples": 100, "batch_size": 64}


@torch.no_grad()
def detect(
    model,
    slices: np.ndarray,
    brain: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    contrasts: list[str],
    samples: int,
    batch_size: int,
) -> Detection:
    """Mean of |x - x_hat_n| over N samples, signed by the mean residual.

    Each slice is encoded once; its samples are decoded together, with random numbers that depend
    on the seed and the slice's number in its scan alone.

    Parameters
    ----------
    samples : N.
    batch_size : samples decoded at a time.
    """

    def work(batch: torch.Tensor, start: int):
        codes = model.encode(batch)
        parts = codes if isinstance(codes, tuple) else (codes,)
        score, mean = torch.zeros_like(batch), torch.zeros_like(batch)
        for number in range(len(batch)):
            generator = torch.Generator(device).manual_seed(slice_noise_seed(seed, start + number))
            own = tuple(part[number : number + 1] for part in parts)
            for first in range(0, samples, batch_size):
                count = min(batch_size, samples - first)
                many = tuple(part.expand(count, *part.shape[1:]) for part in own)
                drawn = model.decode_sample(
                    many if isinstance(codes, tuple) else many[0], generator
                )
                score[number] += (batch[number] - drawn).abs().sum(0)
                mean[number] += drawn.sum(0)
        mean /= samples
        return signed_score(score / samples, batch - mean), mean

    return in_batches(slices, 32, device, work)
