"""Diagonal Gaussians as codes: sampling and divergence."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A sample of N(mean, exp(log_variance)), differentiable in both.

    Parameters
    ----------
    generator : None: torch's global one.
    """
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + noise * (0.5 * log_variance).exp()


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) summed over the dimensions of each slice (n,)."""
    terms = mean.square() + log_variance.exp() - log_variance - 1
    return 0.5 * terms.flatten(1).sum(dim=1)
