"""What restorations share, whatever solves them: slices in batches, and the weight of the TV."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
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
# criterion(restore, slices) -> a sum over their pixels, the smaller the better; restore(slices)
# gives restored ones, by whatever solver.
Criterion = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
LOG = logging.getLogger("normscan")
# You et al. 2019, sections 4.2 and 3.1: the weight, and the longer side of the slices in pixels.
PUBLISHED, PUBLISHED_SIDE = 1.8, 198
WIDENINGS = 4
FAINT = 0.05
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
) -> tuple[dict[str, float], dict[str, Any]]:
    """``{"tv_weight": ...}``, and how it was found; see :func:`choose_tv_weight`.

    Parameters
    ----------
    healthy : slices of healthy validation scans; ``count`` of them are used, evenly spread.
    """
    wanted = min(int(check_at_least("tv_slices", count, 1)), len(healthy))
    numbers = np.linspace(0, len(healthy) - 1, wanted).round().astype(int)
    weight, record = choose_tv_weight(
        model,
        healthy.batch(numbers),
        candidates,
        solve,
        device=device,
        slices_at_once=slices_at_once,
    )
    return {"tv_weight": weight}, record


def choose_tv_weight(
    model: Any,
    healthy: np.ndarray,
    candidates: Sequence[float],
    solve: Solver,
    *,
    device: torch.device,
    slices_at_once: int | None = None,
    criterion: Criterion | None = None,
    faint: float = FAINT,
) -> tuple[float, dict[str, Any]]:
    """The weight whose restoration changes healthy slices least (You et al. 2019, section 2.3).

    Where the least change lies at an edge of the candidates, the search goes on beyond it, doubling
    or halving the weight up to ``WIDENINGS`` times. The paper finds its minimum inside. Without
    the jitter of the loop's steps there may be none: the heavier the total variation, the less
    changes, down to nothing restored at all. So a least value that stays at an edge, or that is
    below ``faint`` of the smallest weight's, does not determine the weight, and the published one
    is taken (:func:`published_weight`). It depends on no label and no scan, neither on the solver
    nor on the range that was searched, as the knee of a falling curve would.

    Parameters
    ----------
    healthy : float32 (n, contrasts, height, width).
    candidates : weights of the TV; of equally good ones the first is taken.
    criterion : what is to be least; None: the change. Its name is in the record.
    faint : share of the smallest weight's value; 0 for a criterion that is best at 0.

    Returns
    -------
    weight, record : ``criterion``, ``how`` (``interior minimum`` or ``fallback``), ``reason`` of a
        fallback, and ``table``: a row per weight that was tried, ``tv_weight`` and the criterion,
        a mean over pixels, None where the restoration diverged.

    Raises
    ------
    ConfigError : no candidates, negative ones, or all diverge, or the published weight does where
        it is needed.
    """
    if not candidates:
        raise ConfigError("tv_candidates: found none; give at least one")
    weights = [check_at_least("tv_candidates", weight, 0) for weight in candidates]
    size = batch_size(slices_at_once, device)
    model = for_inference(model, device)
    judge = criterion or mean_change

    def measure(weight: float) -> float | None:
        total = _sum(judge, model, healthy, solve, weight, size, device)
        return total / healthy.size if np.isfinite(total) else None

    tried = {w: measure(w) for w in progress(weights, "weight of the total variation")}
    if not _usable(tried):
        raise ConfigError(
            f"the restoration of healthy slices diverges for every one of tv_candidates; {ADVICE}"
        )
    for _ in range(WIDENINGS):
        further = _beyond(tried, faint)
        if further is None:
            break
        LOG.info("tv_weight: the least value is at an edge of the candidates; trying %g", further)
        tried[further] = measure(further)
    weight, reason = _least(tried), _degenerate(tried, faint)
    published = published_weight(healthy.shape[-2:])
    if reason:
        LOG.warning(
            "tv_weight: healthy scans do not determine it: %s; the published one is taken, %g at "
            "this size of slices",
            reason,
            published,
        )
        weight = published
        if weight not in tried:
            tried[weight] = measure(weight)
        if tried[weight] is None:
            raise ConfigError(
                f"tv_weight: not determined by healthy scans ({reason}), and under the published "
                f"one, {published:g}, the restoration diverges; {ADVICE}"
            )
    name = getattr(judge, "__name__", "criterion")
    return weight, {
        "criterion": name,
        "how": "fallback" if reason else "interior minimum",
        "reason": reason,
        "table": [{"tv_weight": one, name: value} for one, value in tried.items()],
    }


def published_weight(shape: tuple[int, ...]) -> float:
    """The weight of You et al. 2019 for slices of so many pixels (height, width).

    They used 1.8 on slices of 158 x 198 pixels and found the AUC stable from 0.6 to 4.0 (section
    4.2). A structure's likelihood counts its pixels and its total variation those at its border:
    on slices half as wide there are a quarter and a half as many. In proportion to the slice's
    side, the weight keeps structures of the same size; as it stands, it would flatten small lesions
    of coarse slices. Not from the paper, whose likelihood is Gaussian as well.
    """
    return round(PUBLISHED * max(shape) / PUBLISHED_SIDE, 3)


def mean_change(restore: Callable[[Tensor], Tensor], slices: Tensor) -> Tensor:
    """What a restoration changes, summed over all pixels."""
    return (restore(slices) - slices).abs().sum(dtype=torch.float64)


def _usable(tried: dict[float, float | None]) -> dict[float, float]:
    """Without the weights under which the restoration diverged; weights ascend."""
    return {w: value for w, value in sorted(tried.items()) if value is not None}


def _least(tried: dict[float, float | None]) -> float:
    """The weight of the least value; of equally good ones the first."""
    usable = _usable(tried)
    return min((w for w in tried if w in usable), key=lambda w: usable[w])


def _beyond(tried: dict[float, float | None], faint: float) -> float | None:
    """A weight beyond the edge at which the least value lies; None: inside, or nothing to find."""
    least, weights = _least(tried), list(_usable(tried))
    further = None
    if _vanishes(tried, faint):
        return None
    if least == weights[-1]:
        further = 2 * least or PUBLISHED
    elif least == weights[0]:
        further = (least or weights[1]) / 2
    # It was tried before where it diverged.
    return None if further in tried else further


def _degenerate(tried: dict[float, float | None], faint: float) -> str:
    """Why the least value says nothing of the weight; "" where it does."""
    least, weights = _least(tried), list(_usable(tried))
    if _vanishes(tried, faint):
        return f"at {least:g} hardly anything is restored"
    if least == weights[-1]:
        return f"the value falls all the way to {least:g}, the largest weight tried"
    if least == weights[0]:
        return (
            f"the value rises from {least:g}, the smallest weight tried, as it does where steps "
            "are too long for the total variation"
        )
    return ""


def _vanishes(tried: dict[float, float | None], faint: float) -> bool:
    """Whether hardly anything of the smallest weight's value is left at the least one."""
    values = list(_usable(tried).values())
    return faint > 0 and min(values) <= faint * values[0]


def _sum(
    criterion: Criterion,
    model: Any,
    slices: np.ndarray,
    solve: Solver,
    weight: float,
    size: int,
    device: torch.device,
) -> float:
    """The criterion, summed over all slices."""

    def compute(_: slice, batch: Tensor) -> float:
        return float(criterion(partial(solve, model, tv_weight=weight), batch))

    return sum(value for _, value in each_batch(compute, slices, size, device))
