"""Search for the codes whose generated slices are nearest to given ones; detectors share it.

Sources: Schlegl et al. 2017, section 2.2 (from a code of the prior), Kobayashi et al. 2021, section
II-B3 (from the code that an encoder infers). The model stays as it is, codes alone move.

Slices are searched for together: the gradient of the sum of their objectives is each one's own, and
Adam works entry by entry, so the result is that of one slice at a time, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from normscan.errors import ConfigError

# What is minimised for each slice (n,) from its code; and from a difference its size (n,).
Objective = Callable[[Tensor], Tensor]
Distance = Callable[[Tensor], Tensor]
# Of Adam, as torch has them.
BETAS, EPSILON = (0.9, 0.999), 1e-8


def sum_absolute(difference: Tensor) -> Tensor:
    """Sum of absolute values of each slice (n,)."""
    return difference.flatten(1).abs().sum(dim=1)


def sum_squared(difference: Tensor) -> Tensor:
    """Sum of squares of each slice (n,)."""
    return difference.flatten(1).square().sum(dim=1)


DISTANCES: dict[str, Distance] = {"absolute": sum_absolute, "squared": sum_squared}


def search_codes(
    model: Any,
    targets: Tensor,
    start: str = "encoder",
    steps: int = 100,
    learning_rate: float = 1e-3,
    *,
    distance: str = "squared",
    inputs: Tensor | None = None,
    seeds: Sequence[int] = (),
) -> Tensor:
    """The nearest slices that a model generates after so many steps (n, targets, height, width).

    The defaults are those of Kobayashi et al. 2021, section III-C3. Not to be called in torch's
    inference mode (``torch.no_grad`` is fine): the search needs gradients.

    Parameters
    ----------
    model : as ``for_inference`` makes it, able to ``generate``, and to ``encode`` where it is asked
        for the start. Its codes have any shape (n, ...).
    targets : slices that are sought (n, targets, height, width).
    start : ``encoder``, the codes that it infers, or ``prior``, codes drawn from it.
    steps : 0 gives the slices of the start.
    distance : what is minimised, a key of :data:`DISTANCES`.
    inputs : slices as the encoder sees them; None: the targets.
    seeds : for start ``prior``, one for each slice.

    Raises
    ------
    ConfigError : the search diverged; start or distance is not known.
    """
    known = {"start": ("encoder", "prior"), "distance": tuple(DISTANCES)}
    for name, value in (("start", start), ("distance", distance)):
        if value not in known[name]:
            raise ConfigError(f"{name}: found {value!r}; allowed: {', '.join(known[name])}")
    size = DISTANCES[distance]
    if start == "prior":
        codes = prior_codes(model, [torch.Generator().manual_seed(seed) for seed in seeds])
        codes = codes.to(targets.device)
    else:
        codes = inferred_codes(model, targets if inputs is None else inputs)

    def value(codes: Tensor) -> Tensor:
        return size(targets - model.generate(codes))

    codes = descend(value, codes, steps=steps, learning_rate=learning_rate)
    with torch.no_grad():
        found = model.generate(codes)
    if not found.isfinite().all():
        raise ConfigError("the latent search diverged; choose a smaller learning_rate")
    return found


def inferred_codes(model: Any, slices: Tensor) -> Tensor:
    """Codes (n, ...) that a model's encoder infers from its inputs."""
    with torch.no_grad():
        return model.infer_codes(slices)


def prior_codes(model: Any, generators: Sequence[torch.Generator]) -> Tensor:
    """One code from the prior by each generator (n, ...), on their device."""
    return torch.cat([model.draw_codes(1, generator) for generator in generators])


def descend(value: Objective, codes: Tensor, *, steps: int, learning_rate: float) -> Tensor:
    """Codes after so many steps of Adam, down the sum of ``value`` over all slices.

    (Torch's own optimiser takes seconds for its first step, in every job, and does the same.)
    """
    codes = codes.clone()
    mean, square = torch.zeros_like(codes), torch.zeros_like(codes)
    for step in range(1, steps + 1):
        with torch.enable_grad():
            leaf = codes.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(value(leaf).sum(), leaf)
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        spread = (square / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
        codes = codes.addcdiv(mean / (1 - BETAS[0] ** step), spread, value=-learning_rate)
    return codes
