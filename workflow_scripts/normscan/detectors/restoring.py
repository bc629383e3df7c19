"""What restorations share, whatever solves them: slices in batches, and the weight of the TV."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import BRAIN, Detection, check_at_least, empty_arrays
from normscan.detectors.inference import (
    count_batches,
    each_batch,
    for_inference,
    signed_score,
    suitable_size,
)
from normscan.errors import ConfigError
from normscan.models.capabilities import Bounds
from normscan.progress import progress
from normscan.slices.batch import Batch

if TYPE_CHECKING:
    from normscan.slices.store import SliceStore

# solve(model, inputs, tv_weight=...) -> restored slices, each on its own; one that changes nothing
# outside of the brain also takes ``inside``, float (n, 1, h, w).
Solver = Callable[..., Tensor]
LOG = logging.getLogger("normscan")
# You et al. 2019, sections 4.2 and 3.1: the weight, and the longer side of the slices in pixels.
PUBLISHED, PUBLISHED_SIDE = 1.8, 198
WIDENINGS = 4
ADVICE = "choose smaller steps (step_size; short_step of proximal_restoration)"


def mean_change(restore: Callable[[Tensor], Tensor], slices: Tensor) -> Tensor:
    """What a restoration changes, summed over all pixels."""
    return (restore(slices) - slices).abs().sum(dtype=torch.float64)


class Criterion(NamedTuple):
    """What the best weight makes least, on healthy slices.

    Attributes
    ----------
    name : in the record of the search.
    value : of (restore, slices), a sum over their pixels; ``restore(slices)`` gives restored ones,
        by whatever solver.
    faint : share of the smallest weight's value below which nothing is restored any more; 0 for a
        criterion that is best at 0.
    """

    name: str
    value: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
    faint: float = 0.0


CHANGE = Criterion("mean_change", mean_change, faint=0.05)


class Restoring:
    """A restoration that is ready for scans, by whatever solver.

    Parameters
    ----------
    solve : ``solve(model, inputs, tv_weight=...)``.
    tv_weight : ``auto``: to be found by :meth:`tune`.
    tv_candidates : weights that are tried there.
    tv_slices : how many healthy slices are restored for each, evenly spread over all.
    batch_size : slices at once; None: what suits the device.
    brain_only : whether the solver is told where the brain is.
    """

    def __init__(
        self,
        model: Bounds,
        solve: Solver,
        *,
        device: torch.device,
        tv_weight: float | str,
        tv_candidates: Sequence[float],
        tv_slices: int,
        batch_size: int | None,
        brain_only: bool = False,
    ):
        self.model, self.solve, self.device = for_inference(model, device), solve, device
        self.weight = tv_weight
        if tv_weight != "auto":
            check_at_least("tv_weight", tv_weight, 0)
        self.candidates = tv_candidates
        self.tv_slices = int(check_at_least("tv_slices", tv_slices, 1))
        self.size, self.brain_only = suitable_size(batch_size, device), brain_only

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """Input minus restored input, and the restored input.

        Raises
        ------
        ConfigError : the weight is still ``auto``, or the restoration diverged.
        """
        if self.weight == "auto":
            raise ConfigError(
                "tv_weight: is 'auto'; find it on healthy scans first, or give a number"
            )
        scores, expectations = empty_arrays(scan)

        def compute(where: slice, batch: Batch[Tensor]) -> tuple[Tensor, Tensor]:
            where_to = inside(batch) if self.brain_only else {}
            restored = self.solve(self.model, batch.slices, tv_weight=self.weight, **where_to)
            if not restored.isfinite().all():
                raise ConfigError(
                    f"the restoration of slices {where.start} to {where.stop - 1} diverged; "
                    f"{ADVICE}"
                )
            return signed_score(batch.slices - restored), restored

        found = each_batch(compute, scan, self.size, self.device)
        count = count_batches(scan, self.size)
        for where, (score, restored) in progress(found, "restoration", count):
            scores[where] = score.cpu().numpy()
            expectations[where] = restored.cpu().numpy()
        return Detection(scores, expectations)

    def tune(self, healthy: SliceStore) -> tuple[dict[str, float], dict[str, Any]]:
        """``{"tv_weight": ...}``, and how it was found; see :func:`choose_tv_weight`."""
        wanted = min(self.tv_slices, len(healthy))
        numbers = np.linspace(0, len(healthy) - 1, wanted).round().astype(int)
        weight, record = choose_tv_weight(
            self.model,
            healthy.batch(numbers),
            self.candidates,
            self.solve,
            device=self.device,
            size=self.size,
            brain_only=self.brain_only,
        )
        return {"tv_weight": weight}, record


def choose_tv_weight(
    model: Any,
    healthy: Batch[np.ndarray],
    candidates: Sequence[float],
    solve: Solver,
    *,
    device: torch.device,
    size: int,
    criterion: Criterion = CHANGE,
    brain_only: bool = False,
) -> tuple[float, dict[str, Any]]:
    """The weight whose restoration changes healthy slices least (You et al. 2019, section 2.3).

    Where the least change lies at an edge of the candidates, the search goes on beyond it, doubling
    or halving the weight up to ``WIDENINGS`` times. The paper finds its minimum inside. Without
    the jitter of the loop's steps there may be none: the heavier the total variation, the less
    changes, down to nothing restored at all. So a least value that stays at an edge, or that is
    below the criterion's ``faint``, does not determine the weight, and the published one is taken
    (:func:`published_weight`). It depends on no label and no scan, neither on the solver nor on the
    range that was searched, as the knee of a falling curve would.

    Parameters
    ----------
    model : ready (:func:`normscan.detectors.inference.for_inference`).
    healthy : slices.
    size : slices at once.
    candidates : weights of the TV; of equally good ones the first is taken.
    criterion : what is to be least.
    brain_only : as of :class:`Restoring`.

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

    def measure(weight: float) -> float | None:
        solver = partial(solve, model, tv_weight=weight)
        total = _sum(criterion, healthy, solver, size, device, brain_only)
        return total / healthy.slices.size if np.isfinite(total) else None

    tried = {w: measure(w) for w in progress(weights, "weight of the total variation")}
    if not _usable(tried):
        raise ConfigError(
            f"the restoration of healthy slices diverges for every one of tv_candidates; {ADVICE}"
        )
    _widen(tried, measure, criterion.faint)
    weight, reason = _least(tried), _degenerate(tried, criterion.faint)
    if reason:
        weight = _fall_back(tried, measure, reason, published_weight(healthy.slices.shape[-2:]))
    return weight, {
        "criterion": criterion.name,
        "how": "fallback" if reason else "interior minimum",
        "reason": reason,
        "table": [{"tv_weight": one, criterion.name: value} for one, value in tried.items()],
    }


def published_weight(shape: tuple[int, ...]) -> float:
    """The weight of You et al. 2019 for slices of so many pixels (height, width).

    They used 1.8 on slices of 158 x 198 pixels and found the AUC stable from 0.6 to 4.0 (section
    4.2). A structure's likelihood counts its pixels and its total variation those at its border:
    on slices half as wide there are a quarter and a half as many. In proportion to the slice's
    side, the weight keeps structures of the same size; as it stands, it would flatten small lesions
    of coarse slices. The proportion is not from the paper; nor is the L1 likelihood that most
    models have here, where the paper's is Gaussian.
    """
    return round(PUBLISHED * max(shape) / PUBLISHED_SIDE, 3)


def _widen(
    tried: dict[float, float | None], measure: Callable[[float], float | None], faint: float
) -> None:
    """Try weights beyond the edge at which the least value lies, until it lies inside."""
    for _ in range(WIDENINGS):
        further = _beyond(tried, faint)
        if further is None:
            return
        LOG.info("tv_weight: the least value is at an edge of the candidates; trying %g", further)
        tried[further] = measure(further)


def _fall_back(
    tried: dict[float, float | None],
    measure: Callable[[float], float | None],
    reason: str,
    published: float,
) -> float:
    """The published weight, which is tried as well. ConfigError where it diverges."""
    LOG.warning(
        "tv_weight: healthy scans do not determine it: %s; the published one is taken, %g at this "
        "size of slices",
        reason,
        published,
    )
    if published not in tried:
        tried[published] = measure(published)
    if tried[published] is None:
        raise ConfigError(
            f"tv_weight: not determined by healthy scans ({reason}), and under the published one, "
            f"{published:g}, the restoration diverges; {ADVICE}"
        )
    return published


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


def inside(batch: Batch[Tensor]) -> dict[str, Tensor]:
    """Where the brain is, as a solver takes it."""
    return {"inside": (batch.layers[BRAIN] > 0).unsqueeze(1).to(batch.slices.dtype)}


def _sum(
    criterion: Criterion,
    healthy: Batch[np.ndarray],
    solver: Callable[..., Tensor],
    size: int,
    device: torch.device,
    brain_only: bool,
) -> float:
    """The criterion of what a solver restores, summed over all slices."""

    def compute(_: slice, batch: Batch[Tensor]) -> float:
        restore = partial(solver, **inside(batch)) if brain_only else solver
        return float(criterion.value(restore, batch.slices))

    return sum(value for _, value in each_batch(compute, healthy, size, device))
