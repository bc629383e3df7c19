"""What the networks' layers have in common: first weights, precision of outputs, dropout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

QUIET = 0.1


def full_precision(tensor: Tensor) -> Tensor:
    """Half precision, as networks compute under autocast, to float32, so that losses are exact."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def quieten(layer: nn.Conv2d) -> None:
    """A tenth of its first weights, of the layer that makes images.

    Training starts from nearly empty images instead of from loud noise.
    """
    with torch.no_grad():
        layer.weight.mul_(QUIET)


def initialise(module: nn.Module) -> None:
    """Glorot uniform weights and zero biases of convolutions and dense layers."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def drop_maps(features: Tensor, rate: float, generator: torch.Generator | None = None) -> Tensor:
    """Features of which whole maps are 0 at random, the others scaled to keep the mean.

    Parameters
    ----------
    rate : share that is dropped, at least 0 and below 1.
    generator : on the device of the features; None: torch's global one.
    """
    drawn = torch.rand(*features.shape[:2], 1, 1, generator=generator, device=features.device)
    return features * ((drawn >= rate) / (1 - rate)).to(features.dtype)
