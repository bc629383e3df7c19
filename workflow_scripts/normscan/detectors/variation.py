"""Total variation of images, and its sub-gradient.

Anisotropic: the sum of absolute differences between vertical and between horizontal neighbours,
over all contrasts. The code published with You et al. 2019 has this form; the paper does not say
which. Its natural sub-gradient, 0 where neighbours are equal, is what a restoration that starts at
the input needs (its residual is 0 everywhere at first). The isotropic form would need a smoothing
constant there, which no paper gives.
"""

from __future__ import annotations

import torch
from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Total variation of each image: (n, c, h, w) -> (n,)."""
    down, right = differences(images)
    return down.abs().flatten(1).sum(dim=1) + right.abs().flatten(1).sum(dim=1)


def variation_gradient(images: Tensor) -> Tensor:
    """A sub-gradient of the sum of :func:`total_variation`, the same shape, in {-4, ..., 4}."""
    down, right = differences(images)
    return -divergence(down.sign_(), right.sign_())


def differences(images: Tensor) -> tuple[Tensor, Tensor]:
    """Lower minus upper neighbour (n, c, h-1, w), right minus left (n, c, h, w-1)."""
    return images[..., 1:, :] - images[..., :-1, :], images[..., 1:] - images[..., :-1]


def divergence(down: Tensor, right: Tensor) -> Tensor:
    """Minus the transpose of :func:`differences`: two such tensors -> (n, c, h, w)."""
    shape = (*down.shape[:-2], down.shape[-2] + 1, down.shape[-1])
    found = torch.zeros(shape, dtype=down.dtype, device=down.device)
    found[..., :-1, :] += down
    found[..., 1:, :] -= down
    found[..., :-1] += right
    found[..., 1:] -= right
    return found
