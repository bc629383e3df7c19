"""Everything a training is at one moment, as tensors and plain values, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


def random_state(device: torch.device) -> dict[str, Tensor]:
    """States of torch's global generators."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    """Take back what :func:`random_state` gave (a state of a device that is not used is left)."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def optimiser_state(optimiser: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimiser's state: tensors named ``{parameter}/{key}``, and plain values."""
    state = optimiser.state_dict()
    tensors, scalars = {}, {}
    for parameter, entries in state["state"].items():
        for key, value in entries.items():
            into = tensors if isinstance(value, Tensor) else scalars
            into[f"{parameter}/{key}"] = value
    return tensors, {"scalars": scalars, "groups": state["param_groups"]}


def load_optimiser_state(
    optimiser: Optimizer, tensors: dict[str, Tensor], values: dict[str, Any]
) -> None:
    """Take back what :func:`optimiser_state` gave."""
    parameters = [one for group in optimiser.param_groups for one in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **values["scalars"]}.items():
        parameter, key = name.split("/", 1)
        if isinstance(value, Tensor) and value.shape == parameters[int(parameter)].shape:
            # The parameter's memory layout, as when the optimiser made it: with another one,
            # other instructions run, and the last bits may differ.
            value = torch.empty_like(parameters[int(parameter)], dtype=value.dtype).copy_(value)
        state.setdefault(int(parameter), {})[key] = value
    groups = [
        {key: _like(value, old.get(key)) for key, value in saved.items()}
        for saved, old in zip(values["groups"], optimiser.param_groups)
    ]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _like(value: Any, old: Any) -> Any:
    # JSON knows no tuples.
    return tuple(value) if isinstance(old, tuple) else value


def copy_weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and buffers, where they are."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names with ``prefix/`` in front."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``prefix/``, without it."""
    start = f"{prefix}/"
    return {name[len(start) :]: value for name, value in _under(start, tensors)}


def _under(start: str, tensors: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    return ((name, value) for name, value in tensors.items() if name.startswith(start))
