"""Restoration with a faster solver: few proximal gradient steps instead of many small ones.

The objective is that of :mod:`normscan.detectors.restoration`, L(x) = elbo_loss(x) + tv_weight *
TV(x - y). Not from the papers. A step goes down the gradient of what passes through the network and
then solves the rest exactly, the errors (absolute ones, or the squares of a Gaussian likelihood)
and TV together (their proximal map, by accelerated projected gradient on the dual: Beck and
Teboulle 2009). So there is no jitter of sub-gradients, and steps can be long. Where a model is
stiff they raise the objective: from the first long step that does, a slice goes on with short ones
and Nesterov's momentum, halved where even they lead upwards. A step that is not solved well enough
raises the objective as well, however short it is: nearly empty slices under a heavy TV would be
halved down to nothing.

The published loop does not minimise L: its 500 steps of 1e-3 are a descent for a limited time, and
stopping there is part of the method (going on can lower detection). So does this solver stop: when
the lengths of a slice's steps add up to ``time``. What momentum carries a slice on counts like a
step: along a constant slope it goes exactly as far. A slice that is not there after
``most_evaluations`` of the network ends where its objective was lowest.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import check_at_least
from normscan.detectors.restoring import Restoring
from normscan.detectors.variation import distance, shrink_variation_well, total_variation
from normscan.errors import ConfigError
from normscan.models.capabilities import Bounds

LOG = logging.getLogger("normscan")
TITLE = (
    "the residual of an image restoration under the model's prior, solved by proximal gradient "
    "descent"
)
CITE = ["you2019", "beck2009"]
LINE = "dashed"
EXPECTED = "restored"
NEEDS = {"elbo"}
SETTINGS: dict[str, Any] = {
    "time": 0.5,
    "long_step": 0.05,
    "short_step": 0.004,
    "most_evaluations": 200,
    "inner_steps": 10,
    "tv_weight": "auto",
    "tv_candidates": [0.0, 0.6, 1.2, 1.8, 2.4, 3.0, 3.6],
    "tv_slices": 64,
    "batch_size": None,
}
ALLOWED = {
    "time": ">0..",
    "long_step": ">0..",
    "short_step": ">0..",
    "most_evaluations": "2..",
    "inner_steps": "1..",
    "tv_weight": ["auto", "0.."],
    "tv_candidates": "each 0..",
    "tv_slices": "1..",
    "batch_size": "whole 1..",
}
MEANING = {
    "time": "length of the descent, sum of its steps; that of the published 500 steps of 1e-3",
    "long_step": "taken as long as it does not raise a slice's objective; most models never refuse "
    "it",
    "short_step": "taken from then on; halved where even such steps lead upwards",
    "most_evaluations": "of the network, for each slice; real ones took 68 (weights up to 7.2)",
    "inner_steps": "of the dual problem, in every step; more where they do not do",
}
# For tests of all detectors, on slices of four pixels and more.
CHECKED_WITH = {"time": 0.1, "tv_weight": 0.7}
SIGNED = True
RESIDUAL = True
# Momentum after k short steps: k / (k + 3), Nesterov's.
FRICTION = 3
# Momentum may raise the objective on the way, but not by more than this share above where the short
# steps began: such a step is refused and they are halved.
SLACK = 0.01
# The descent is given up (not a number) where they became shorter than this share of short_step.
SHORTEST = 2**-10


def prepare(
    model: Bounds,
    *,
    device: torch.device,
    contrasts: Sequence[str],
    time: float,
    long_step: float,
    short_step: float,
    most_evaluations: int,
    inner_steps: int,
    **weight: Any,
) -> Restoring:
    """Input minus restored input; arguments as in :mod:`normscan.detectors.base`.

    Raises
    ------
    ConfigError : a setting is out of range.
    """
    lengths = {"time": time, "long_step": long_step, "short_step": short_step}
    for name, length in lengths.items():
        if not 0 < check_at_least(name, length, 0) < np.inf:
            raise ConfigError(f"{name}: found {length}; must be above 0")
    counts = {
        "most_evaluations": int(check_at_least("most_evaluations", most_evaluations, 2)),
        "inner_steps": int(check_at_least("inner_steps", inner_steps, 1)),
    }
    return Restoring(model, partial(descend, **lengths, **counts), device=device, **weight)


def descend(
    model: Any,
    inputs: Tensor,
    *,
    tv_weight: float,
    time: float,
    long_step: float,
    short_step: float,
    most_evaluations: int,
    inner_steps: int,
) -> Tensor:
    """Restored slices (n, c, h, w); parameters as in ``SETTINGS``.

    Slices do not influence each other; those that are done are no longer computed. No objective is
    above the input's. Slices where no step leads down are not numbers. Parameters of ``model``
    should not require gradients.
    """
    restored = inputs.clone()
    state = _start(model, inputs, tv_weight, time, long_step)
    # The start was the first evaluation.
    for _ in range(most_evaluations - 1):
        _judge(state, _step(model, state, tv_weight, inner_steps), short_step)
        lost = state["length"] < SHORTEST * short_step
        # Rounding must not leave a last, tiny step.
        done = lost | (state["left"] < 1e-6)
        if done.any():
            restored[state["slice"][done]] = _ends(state, lost)[done]
            state = {name: value[~done] for name, value in state.items()}
        if not len(state["slice"]):
            return restored
    LOG.info(
        "proximal restoration: %d of %d slices ended after %d evaluations, before their time",
        len(state["slice"]),
        len(inputs),
        most_evaluations,
    )
    restored[state["slice"]] = state["input"] + state["best"]
    return restored


def _ends(state: dict[str, Tensor], lost: Tensor) -> Tensor:
    """The images at which slices end: where their time is over, if it led down, else the best."""
    over = ~lost & (state["objective"] <= state["first"])
    residual = torch.where(per_slice(over), state["residual"], state["best"])
    hopeless = lost & ~(state["lowest"] < state["first"])
    return state["input"] + torch.where(per_slice(hopeless), torch.nan, residual)


def _step(
    model: Any, state: dict[str, Tensor], tv_weight: float, inner_steps: int
) -> dict[str, Tensor]:
    """What of ``state`` is another after one more step of each slice."""
    length = torch.minimum(state["length"], state["left"] - state["carried"])
    residual, dual = shrink_variation_well(
        state["ahead"] - per_slice(length) * state["gradient"],
        state["expected"] - state["input"],
        length,
        tv_weight,
        inner_steps,
        (state["down"], state["right"]),
        elbo_power(model),
    )
    gone = state["carried"] + length
    left = state["left"] - gone
    # Room for another step before the end.
    room = (left - state["length"]).clamp(min=0) / gone
    inertia = torch.minimum(state["short"] / (state["short"] + FRICTION), room)
    ahead = residual + per_slice(inertia) * (residual - state["residual"])
    taken = _look(model, state["input"], ahead, tv_weight)
    taken |= dict(zip(("down", "right"), dual))
    return taken | {"residual": residual, "left": left, "carried": inertia * gone}


def _judge(state: dict[str, Tensor], taken: dict[str, Tensor], short_step: float) -> None:
    """Take the steps that do not raise the objective too far; change lengths where one does."""
    short = state["short"] > 0
    good = taken["objective"] <= state["limit"]
    for name, new in taken.items():
        state[name] = torch.where(per_slice(good, new.ndim), new, state[name])
    better = good & (state["objective"] < state["lowest"])
    for name, new in (("lowest", "objective"), ("best", "ahead")):
        state[name] = torch.where(per_slice(better, state[new].ndim), state[new], state[name])
    # A refused long step makes the next one the first short one; momentum starts anew there.
    state["short"] = torch.where(good, state["short"] + short, 1)
    shorter = torch.where(short, state["length"] / 2, short_step)
    state["length"] = torch.where(good, state["length"], shorter)
    # Long steps may not raise it at all, short ones not above where they began, but for the slack.
    limit = state["objective"] + torch.where(good, 0, SLACK * state["objective"].abs())
    state["limit"] = torch.where(short, state["limit"], limit)


def _start(
    model: Any, inputs: Tensor, tv_weight: float, time: float, long_step: float
) -> dict[str, Tensor]:
    """Where each slice is; the first axis of everything is the slices still to be done.

    ``residual`` is where its last step ended, ``ahead`` where momentum has carried it from there
    (``carried``, as a length of descent); ``objective`` and ``gradient`` are those of ``ahead``.
    ``length`` is that of the next step, ``short`` counts short steps, ``limit`` is the objective
    above which a step is refused. ``first`` is the objective of the input, ``lowest`` the lowest so
    far, ``best`` the residual that had it.
    """
    zeros = torch.zeros_like(inputs)
    found = _look(model, inputs, zeros, tv_weight)
    none = torch.zeros_like(found["objective"])
    return found | {
        "slice": torch.arange(len(inputs), device=inputs.device),
        "input": inputs,
        "residual": zeros,
        "left": none + time,
        "carried": none,
        "short": none,
        "length": none + long_step,
        "limit": found["objective"],
        "first": found["objective"],
        "lowest": found["objective"],
        "best": zeros,
        "down": zeros[..., 1:, :],
        "right": zeros[..., 1:],
    }


def _look(model: Any, inputs: Tensor, residual: Tensor, tv_weight: float) -> dict[str, Tensor]:
    """Objective (n,), what the model expects, and the gradient through the model.

    The gradient is that of |x0 - expected(x)|^power + rest(x) at x = x0: the absolute value or the
    square itself is left to the proximal map.
    """
    image = (inputs + residual).detach()
    with torch.enable_grad():
        leaf = image.clone().requires_grad_()
        expected, rest = model.elbo_parts(leaf)
        through = distance(image, expected, elbo_power(model)) + rest
        (gradient,) = torch.autograd.grad(through.sum(), leaf)
    return {
        "ahead": residual,
        "objective": through.detach() + tv_weight * total_variation(residual),
        "expected": expected.detach(),
        "gradient": gradient,
    }


def elbo_power(model: Any) -> int:
    """1 where the bound is of absolute differences, 2 where it is of squares."""
    return getattr(model, "elbo_power", 1)


def per_slice(values: Tensor, axes: int = 4) -> Tensor:
    """One value per slice (n,) with axes of length 1, to go with tensors of so many axes."""
    return values.view(-1, *[1] * (axes - 1))
