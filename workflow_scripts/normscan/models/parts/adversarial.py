"""Losses of adversarial training.

Wasserstein losses with gradient penalty: Gulrajani et al. 2017, section 4 and Alg. 1. Those of a
discriminator that tells real from generated slices: Goodfellow et al. 2014, section 3, with the
generator's in its non-saturating form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from normscan.models.base import adam
from normscan.networks.layers import full_precision

# As in Gulrajani et al. and Schlegl et al. 2019.
BETAS = (0.5, 0.9)


def critic_losses(
    critic: nn.Module, real: Tensor, fake: Tensor, penalty_weight: float
) -> dict[str, Tensor]:
    """What a critic minimises: ``critic`` = -``wasserstein`` + weight * ``penalty``.

    In float32: the distance is a small difference of two means, which half precision would round
    to the steps of the critic's values.

    Parameters
    ----------
    critic : (n, ...) -> (n,).
    real, fake : equal shapes; no gradient goes through them.
    """
    real, fake = full_precision(real.detach()), full_precision(fake.detach())
    with torch.autocast(real.device.type, enabled=False):
        distance = critic(real).mean() - critic(fake).mean()
    penalty = gradient_penalty(critic, real, fake)
    return {
        "critic": penalty_weight * penalty - distance,
        "wasserstein": distance,
        "penalty": penalty,
    }


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Mean over samples of (|gradient of the critic| - 1)^2 between real and fake ones.

    The norm is that of each sample's whole gradient. (The code published with Baur et al. 2021
    takes the norm over one axis of an image only.) In float32: squares of small gradients would
    vanish in half precision.
    """
    shape = (len(real), *[1] * (real.ndim - 1))
    place = torch.rand(shape, device=real.device, dtype=real.dtype)
    between = (real + place * (fake - real)).requires_grad_()
    with torch.autocast(real.device.type, enabled=False), torch.enable_grad():
        judged = critic(between)
        (gradient,) = torch.autograd.grad(judged.sum(), between, create_graph=True)
        # The root's derivative has no limit at 0.
        norm = (gradient.flatten(1).square().sum(dim=1) + 1e-12).sqrt()
        return (norm - 1).square().mean()


def discriminator_loss(
    discriminator: nn.Module, real: Tensor, fake: Tensor, real_label: float = 1.0
) -> Tensor:
    """Mean cross-entropy of real slices (``real_label``) and of generated ones (0), summed.

    Real and generated slices are judged in batches of their own, as batch norms of a discriminator
    want it (Radford et al. 2016).

    Parameters
    ----------
    discriminator : (n, ...) -> logits (n,).
    real, fake : no gradient goes through them.
    real_label : below 1: one-sided label smoothing (Salimans et al. 2016, section 3.4).
    """
    judged = discriminator(real.detach()), discriminator(fake.detach())
    return _cross_entropy(judged[0], real_label) + _cross_entropy(judged[1], 0.0)


def generator_loss(discriminator: nn.Module, fake: Tensor) -> Tensor:
    """Mean of -log D(G(z)): the generator's loss that does not saturate."""
    return _cross_entropy(discriminator(fake), 1.0)


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    logits = full_precision(logits)
    labels = torch.full_like(logits, label)
    return functional.binary_cross_entropy_with_logits(logits, labels)


def adversarial_adam(parameters, learning_rate: float) -> torch.optim.Adam:
    """Adam as Wasserstein GANs use it."""
    return adam(parameters, learning_rate, BETAS)
