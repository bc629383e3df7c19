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

# Of the proximal map: see shrink_variation_well. A third of what a step may raise the objective by.
ACCURACY = 0.003
DOUBLINGS = 4


def total_variation(images: Tensor) -> Tensor:
    """Total variation of each image: (n, c, h, w) -> (n,)."""
    down, right = differences(images)
    return down.abs().flatten(1).sum(dim=1) + right.abs().flatten(1).sum(dim=1)


def variation_gradient(images: Tensor) -> Tensor:
    """A sub-gradient of the sum of :func:`total_variation`, the same shape, in {-4, ..., 4}."""
    down, right = differences(images)
    return -divergence(down.sign_(), right.sign_())


def shrink_variation(
    images: Tensor,
    centre: Tensor,
    length: Tensor,
    weight: float,
    steps: int,
    dual: tuple[Tensor, Tensor],
    power: int = 1,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """argmin over r of |r - images|^2 / (2 length) + sum |r - centre|^power + weight TV(r).

    Source: Beck and Teboulle 2009, "Fast gradient-based algorithms for constrained total variation
    image denoising and deblurring problems": accelerated projected gradient on the dual of the TV.
    Their box around the image is a pull towards ``centre`` here: for absolute values a soft
    threshold, for squares a shorter way to it.

    Parameters
    ----------
    images, centre : (n, c, h, w).
    length : of each image (n,), above 0.
    weight : of the total variation.
    steps : of the dual problem.
    dual : where to start in the dual, in [-1, 1]: (n, c, h-1, w), (n, c, h, w-1).
    power : 1 or 2.

    Returns
    -------
    r, dual : the minimiser up to the number of steps, and where the dual ended.
    """
    size = length.view(-1, 1, 1, 1)
    away = images - centre

    def primal(down: Tensor, right: Tensor) -> Tensor:
        pulled = away + size * weight * divergence(down, right)
        if power == 2:
            return centre + pulled / (1 + 2 * size)
        return centre + pulled - pulled.clamp(-size, size)

    if not weight:
        return primal(*dual), dual
    # Squared norm of the dual's operator: differences stay below sqrt(8). Squares are curved more.
    curved = 1 + 2 * size if power == 2 else 1
    pace = curved / (8 * weight * size)
    ahead, momentum = dual, 1.0
    for _ in range(steps):
        gradient = differences(primal(*ahead))
        new = tuple((a + pace * g).clamp_(-1, 1) for a, g in zip(ahead, gradient))
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        inertia = (momentum - 1) / following
        ahead = tuple(n + inertia * (n - old) for n, old in zip(new, dual))
        dual, momentum = new, following
    return primal(*dual), dual


def shrink_variation_well(
    images: Tensor,
    centre: Tensor,
    length: Tensor,
    weight: float,
    steps: int,
    dual: tuple[Tensor, Tensor],
    power: int = 1,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """:func:`shrink_variation`, going on for images that so many steps leave far from the minimum.

    Each time with twice as many steps, from where the dual ended, until the duality gap is at most
    ``ACCURACY`` of what is minimised (without its square, which only keeps r near), or after
    ``DOUBLINGS``. Images do not influence each other.
    """
    found, (down, right) = shrink_variation(images, centre, length, weight, steps, dual, power)
    rows = torch.arange(len(images), device=images.device)
    for doubling in range(1, DOUBLINGS + 1):
        own = (down[rows], right[rows])
        change = weight * total_variation(found[rows])
        value = change + distance(found[rows], centre[rows], power)
        far = change - weight * _inner(differences(found[rows]), own) > ACCURACY * value
        rows = rows[far]
        if not len(rows):
            break
        start, more = (own[0][far], own[1][far]), steps * 2**doubling
        better, ended = shrink_variation(
            images[rows], centre[rows], length[rows], weight, more, start, power
        )
        found = found.index_copy(0, rows, better)
        down, right = (a.index_copy(0, rows, b) for a, b in zip((down, right), ended))
    return found, (down, right)


def distance(images: Tensor, centre: Tensor, power: int) -> Tensor:
    """Sum of absolute (``power`` 1) or squared (2) differences of each image (n,)."""
    away = images - centre
    return (away.square() if power == 2 else away.abs()).flatten(1).sum(dim=1)


def _inner(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """Inner product of each image's differences with its dual (n,)."""
    down, right = ((a * b).flatten(1).sum(dim=1) for a, b in zip(one, other))
    return down + right


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
