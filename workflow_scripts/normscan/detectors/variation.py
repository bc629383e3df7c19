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


def shrink_variation(
    images: Tensor, weight: Tensor, steps: int, down: Tensor, right: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Proximal map of the total variation: argmin over r of |r - images|^2 / 2 + weight TV(r).

    Source: Beck and Teboulle 2009, "Fast gradient-based algorithms for constrained total variation
    image denoising and deblurring problems": accelerated projected gradient on the dual.

    Parameters
    ----------
    images : (n, c, h, w).
    weight : of each image (n,), at least 0.
    steps : of the dual problem.
    down, right : where to start in the dual, in [-1, 1]: (n, c, h-1, w) and (n, c, h, w-1).

    Returns
    -------
    r, down, right : the minimiser up to the number of steps, and where the dual ended.
    """
    factor = weight.view(-1, 1, 1, 1)
    # The norm of the differences is below sqrt(8).
    length = 1 / (8 * factor.clamp(min=1e-8))
    ahead_down, ahead_right, momentum = down, right, 1.0
    for _ in range(steps):
        vertical, horizontal = differences(images + factor * divergence(ahead_down, ahead_right))
        new_down = (ahead_down + length * vertical).clamp_(-1, 1)
        new_right = (ahead_right + length * horizontal).clamp_(-1, 1)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        pace = (momentum - 1) / following
        ahead_down = new_down + pace * (new_down - down)
        ahead_right = new_right + pace * (new_right - right)
        down, right, momentum = new_down, new_right, following
    return images + factor * divergence(down, right), down, right


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
