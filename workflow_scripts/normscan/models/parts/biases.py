"""Networks without biases."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.BatchNorm2d, nn.GroupNorm)


def without_biases(network: M) -> M:
    """The same network, whose layers add no constants of their own; norms do not scale either."""
    for module in network.modules():
        if isinstance(module, (*LAYERS, *NORMS)):
            module.bias = None
        if isinstance(module, NORMS):
            module.weight, module.affine = None, False
    return network
