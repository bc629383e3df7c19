"""What the networks' layers have in common: first weights, precision of outputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def full_precision(tensor: Tensor) -> Tensor:
    """Half precision, as networks compute under autocast, to float32, so that losses are exact."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def initialise(module: nn.Module) -> None:
    """Glorot uniform weights and zero biases of convolutions and dense layers."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
