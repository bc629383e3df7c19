"""Restoration: gradient descent on the image towards what the model finds likely.

Source: You et al. 2019, sections 2.2, 2.3 and Algorithm 1; Baur et al. 2021, Eq. 4. The restored
image minimises the negative evidence lower bound plus lambda times the total variation of the change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from normscan.detectors.base import Detection, in_batches, on_device, signed_score
from normscan.errors import ConfigError

NEEDS = {"elbo"}
SETTINGS = {
    "steps": 500,
    "step_size": 0.001,
    "tv_weight": "auto",
    "candidates": [0.6, 1.2, 1.8, 2.4, 3.0, 4.0],
    "tuning_slices": 64,
    "batch_size": 16,
}


def total_variation(change: torch.Tensor) -> torch.Tensor:
    """Anisotropic total variation of each slice (n,): sum of absolute differences of neighbours.

    The paper names the TV norm (Rudin et al. 1992) without its discretisation; its published code
    uses TensorFlow's ``total_variation``, which is this one.
    """
    rows = (change[..., 1:, :] - change[..., :-1, :]).abs().flatten(1).sum(1)
    columns = (change[..., :, 1:] - change[..., :, :-1]).abs().flatten(1).sum(1)
    return rows + columns


def restore(
    model, batch: torch.Tensor, *, steps: int, step_size: float, tv_weight: float
) -> torch.Tensor:
    """Restored slices (n, contrasts, h, w): plain gradient descent from the input.

    Slices are restored together, but each as if alone: the summed loss has no term that couples
    them, since the model is in evaluation mode. No parameter gets a gradient.
    """
    frozen = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        restored = batch.clone()
        for _ in range(steps):
            restored.requires_grad_(True)
            loss = model.elbo_loss(restored) + tv_weight * total_variation(restored - batch)
            (gradient,) = torch.autograd.grad(loss.sum(), restored)
            restored = (restored - step_size * gradient).detach()
        return restored
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def detect(
    model,
    slices: np.ndarray,
    brain: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    contrasts: list[str],
    steps: int,
    step_size: float,
    tv_weight: float | str,
    candidates: list[float],
    tuning_slices: int,
    batch_size: int,
) -> Detection:
    """Signed residual of input and restored image.

    Parameters
    ----------
    tv_weight : lambda; ``auto`` must have been replaced by what :func:`tune` found.
    """
    if isinstance(tv_weight, str):
        raise ConfigError(f"restoration.tv_weight: found '{tv_weight}'; give a number or 'auto'")

    def work(batch: torch.Tensor, start: int):
        restored = restore(
            model, batch, steps=steps, step_size=step_size, tv_weight=float(tv_weight)
        )
        residual = batch - restored
        return signed_score(residual.abs(), residual), restored

    return in_batches(slices, batch_size, device, work)


def tune(
    model,
    healthy,
    *,
    seed: int,
    device: torch.device,
    steps: int,
    step_size: float,
    candidates: list[float],
    tuning_slices: int,
    batch_size: int,
    **_: Any,
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Lambda without labels: the one that changes healthy slices least (You et al. 2019, 2.3).

    Parameters
    ----------
    healthy : store of healthy validation slices; evenly spread ones are used.
    candidates : values of lambda to try (the paper's Fig. 2 spans 0.6 to 4.0).

    Returns
    -------
    settings, table : ``{"tv_weight": lambda}`` and the mean absolute change per candidate.
    """
    count = min(tuning_slices, len(healthy))
    chosen = np.unique(np.linspace(0, len(healthy) - 1, count).round().astype(int))
    table = []
    for weight in candidates:
        total = 0.0
        for start in range(0, len(chosen), batch_size):
            batch = on_device(healthy.batch(chosen[start : start + batch_size]), device)
            restored = restore(
                model, batch, steps=steps, step_size=step_size, tv_weight=float(weight)
            )
            total += float((restored - batch).abs().double().sum())
        table.append({"tv_weight": float(weight), "mean_change": total / len(chosen)})
    best = min(table, key=lambda row: row["mean_change"])
    return {"tv_weight": best["tv_weight"]}, table
