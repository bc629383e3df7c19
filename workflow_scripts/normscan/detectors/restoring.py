"""What restorations share, whatever solves them: slices in batches, and the weight of the TV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import Detection, check_at_least, empty_arrays
from normscan.detectors.inference import (
    batch_size,
    count_batches,
    each_batch,
    for_inference,
    signed_score,
)
from normscan.errors import ConfigError
from normscan.progress import progress

if TYPE_CHECKING:
    from normscan.slices.store import SliceStore

# solve(model, inputs, tv_weight=...) -> restored slices, each on its own.
Solver = Callable[..., Tensor]
ADVICE = "choose smaller steps (step_size; short_step of proximal_restoration)"


def restore(
    model: Any,
    slices: np.ndarray,
    solve: Solver,
    *,
    tv_weight: float | str,
    device: torch.device,
    slices_at_once: int | None = None,
) -> Detection:
    """Input minus restored input, and the restored input.

    Raises
    ------
    ConfigError : ``tv_weight`` is negative or still ``auto``, or the restoration diverged.
    """
    if tv_weight == "auto":
        raise ConfigError("tv_weight: is 'auto'; find it on healthy scans first, or give a number")
    weight = check_at_least("tv_weight", tv_weight, 0)
    size = batch_size(slices_at_once, device)
    model = for_inference(model, device)
    scores, expectations = empty_arrays(slices)

    def compute(where: slice, batch: Tensor) -> tuple[Tensor, Tensor]:
        restored = solve(model, batch, tv_weight=weight)
        if not restored.isfinite().all():
            raise ConfigError(
                f"the restoration of slices {where.start} to {where.stop - 1} diverged; {ADVICE}"
            )
        return signed_score(batch - restored), restored

    found = each_batch(compute, slices, size, device)
    for where, (score, restored) in progress(found, "restoration", count_batches(slices, size)):
        scores[where] = score.cpu().numpy()
        expectations[where] = restored.cpu().numpy()
    return Detection(scores, expectations)


def tune_tv_weight(
    model: Any,
    healthy: SliceStore,
    solve: Solver,
    *,
    candidates: Sequence[float],
    count: int,
    device: torch.device,
    slices_at_once: int | None = None,
) -> tuple[dict[str, float], list[dict[str, float | None]]]:
    """``{"tv_weight": ...}`` and the change of healthy slices under each candidate.

    Parameters
    ----------
    healthy : slices of healthy validation scans; ``count`` of them are used, evenly spread.
    """
    wanted = min(int(check_at_least("tv_slices", count, 1)), len(healthy))
    numbers = np.linspace(0, len(healthy) - 1, wanted).round().astype(int)
    weight, table = choose_tv_weight(
        model,
        healthy.batch(numbers),
        candidates,
        solve,
        device=device,
        slices_at_once=slices_at_once,
    )
    return {"tv_weight": weight}, table


def choose_tv_weight(
    model: Any,
    healthy: np.ndarray,
    candidates: Sequence[float],
    solve: Solver,
    *,
    device: torch.device,
    slices_at_once: int | None = None,
) -> tuple[float, list[dict[str, float | None]]]:
    """The candidate whose restoration changes healthy slices least (You et al. 2019, section 2.3).

    Parameters
    ----------
    healthy : float32 (n, contrasts, height, width).
    candidates : weights of the TV; of equally good ones the first is taken.

    Returns
    -------
    weight, table : one row per candidate, ``tv_weight`` and ``mean_change``, the mean absolute
        change of a pixel; None where the restoration diverged.

    Raises
    ------
    ConfigError : no candidates, negative ones, or all diverge.
    """
    if not candidates:
        raise ConfigError("tv_candidates: found none; give at least one")
    weights = [check_at_least("tv_candidates", weight, 0) for weight in candidates]
    size = batch_size(slices_at_once, device)
    model = for_inference(model, device)
    table: list[dict[str, float | None]] = []
    for weight in progress(weights, "weight of the total variation"):
        mean = _change(model, healthy, solve, weight, size, device) / healthy.size
        table.append({"tv_weight": weight, "mean_change": mean if np.isfinite(mean) else None})
    usable = [row for row in table if row["mean_change"] is not None]
    if not usable:
        raise ConfigError(
            f"the restoration of healthy slices diverges for every one of tv_candidates; {ADVICE}"
        )
    return min(usable, key=lambda row: row["mean_change"])["tv_weight"], table


def _change(
    model: Any, slices: np.ndarray, solve: Solver, weight: float, size: int, device: torch.device
) -> float:
    """Sum over all pixels of the absolute difference that a restoration makes."""

    def compute(_: slice, batch: Tensor) -> float:
        restored = solve(model, batch, tv_weight=weight)
        return float((restored - batch).abs().sum(dtype=torch.float64))

    return sum(change for _, change in each_batch(compute, slices, size, device))
