"""Residual of a restoration: the image is moved until the model finds it normal.

Source: You et al. 2019, sections 2.2 and 2.3, appendices B and D, in the form of Baur et al. 2021,
section II-B. Starting at the input y, gradient descent minimises for each slice

    L(x) = elbo_loss(x) + tv_weight * TV(x - y)

with 500 steps of 1e-3. ``elbo_loss`` is the model's negative evidence lower bound, summed over
pixels. A model with Gaussian p(x|z) fixes its standard deviation to 1/sqrt(2) there, in the whole
image, which makes it the sum of squared errors (You et al., end of section 2.2); a model with an L1
likelihood has no such parameter. :mod:`normscan.detectors.variation` says which TV.

Repeated runs give the same bits. Batches of another size round otherwise, and where neighbours of
the residual are almost equal rounding decides the sign of a step of the TV: the residual then
jitters by up to ``4 * tv_weight * step_size``, as it does in any implementation of this loop.

The code published with You et al. departs from the paper; what it does is ``first_steps: 100,
first_step_size: 5e-3, step_size: 2e-3, largest_gradient: 100, brain_only: true`` (50 for its VAE):
a hundred longer steps first, every pixel's gradient, TV included, clipped to that range, and
nothing changed outside of the brain. Not offered, from the code of Baur et al.: TV of the image
minus its *reconstruction*, which does not hold on to the input at all, and 150 steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import check_at_least
from normscan.detectors.inference import elbo_and_gradient
from normscan.detectors.restoring import Restoring
from normscan.detectors.variation import total_variation, variation_gradient
from normscan.errors import ConfigError
from normscan.models.capabilities import Bounds

TITLE = "the residual of an image restoration under the model's prior"
CITE = ["you2019"]
LINE = "dashed"
EXPECTED = "restored"
NEEDS = {"elbo"}
SETTINGS: dict[str, Any] = {
    "steps": 500,
    "step_size": 1e-3,
    "first_steps": 0,
    "first_step_size": 5e-3,
    "largest_gradient": None,
    "brain_only": False,
    "tv_weight": "auto",
    "tv_candidates": [0.0, 0.6, 1.2, 1.8, 2.4, 3.0, 3.6],
    "tv_slices": 64,
    "batch_size": None,
}
ALLOWED = {
    "steps": "1..",
    "step_size": ">0..",
    "first_steps": "0..",
    "first_step_size": ">0..",
    "largest_gradient": ">0..",
    "tv_weight": ["auto", "0.."],
    "tv_candidates": "each 0..",
    "tv_slices": "1..",
    "batch_size": "whole 1..",
}
MEANING = {
    "steps": "of the descent, first ones included",
    "step_size": "size of a step",
    "first_steps": "so many of the steps come first and have a size of their own",
    "first_step_size": "size of the first steps",
    "largest_gradient": "limit of a pixel's gradient, either way; null: there is none",
    "brain_only": "whether pixels outside of the brain stay as they are",
    "tv_candidates": "weights that auto tries: none, and the range that the paper plots (its "
    "choice: 1.8)",
}
# For tests of all detectors, on slices of four pixels and more.
CHECKED_WITH = {"steps": 4, "tv_weight": 0.7}
SIGNED = True
RESIDUAL = True


def prepare(
    model: Bounds,
    *,
    device: torch.device,
    contrasts: Sequence[str],
    steps: int,
    step_size: float,
    first_steps: int,
    first_step_size: float,
    largest_gradient: float | None,
    brain_only: bool,
    **weight: Any,
) -> Restoring:
    """Input minus restored input; arguments as in :mod:`normscan.detectors.base`.

    Raises
    ------
    ConfigError : a setting is out of range.
    """
    steps = int(check_at_least("steps", steps, 1))
    first_steps = int(check_at_least("first_steps", first_steps, 0))
    sizes = {"step_size": step_size, "first_step_size": first_step_size}
    limits = {} if largest_gradient is None else {"largest_gradient": largest_gradient}
    for name, value in (sizes | limits).items():
        if not 0 < check_at_least(name, value, 0) < np.inf:
            raise ConfigError(f"{name}: found {value}; must be above 0")
    solve = partial(descend, steps=steps, first_steps=first_steps, **sizes, **limits)
    return Restoring(model, solve, device=device, brain_only=brain_only, **weight)


def objective(model: Any, images: Tensor, inputs: Tensor, tv_weight: float) -> Tensor:
    """L(x) of each slice (n,), from restored ``images`` and ``inputs`` (n, c, h, w)."""
    return model.elbo_loss(images) + tv_weight * total_variation(images - inputs)


def descend(
    model: Any,
    inputs: Tensor,
    *,
    tv_weight: float,
    steps: int,
    step_size: float,
    first_steps: int = 0,
    first_step_size: float = 5e-3,
    largest_gradient: float | None = None,
    inside: Tensor | None = None,
) -> Tensor:
    """Restored slices (n, c, h, w): gradient descent of :func:`objective`, from the inputs.

    Slices do not influence each other. Parameters of ``model`` should not require gradients (see
    :func:`normscan.detectors.inference.for_inference`): they would be computed for nothing.

    Parameters
    ----------
    steps : all of them, the first ones included.
    inside : float (n, 1, h, w), 1 where pixels may change, else 0; None: everywhere.
    """
    images = inputs.clone()
    for number in range(steps):
        step = elbo_and_gradient(model, images)[1]
        if tv_weight:
            step = step + tv_weight * variation_gradient(images - inputs)
        if largest_gradient is not None:
            step = step.clamp(-largest_gradient, largest_gradient)
        if inside is not None:
            step = step * inside
        images = images - (first_step_size if number < first_steps else step_size) * step
    return images
