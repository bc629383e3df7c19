"""What adversarial training of two mappings takes: losses, a pool of earlier images, a schedule.

Source: Zhu et al. 2017, "Unpaired image-to-image translation using cycle-consistent adversarial
networks", section 4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def least_squares(judged: Tensor, real: bool) -> Tensor:
    """Mean squared distance of a critic's judgements (any shape) from 1 (real) or 0 (made)."""
    return (judged - float(real)).square().mean()


def critic_loss(critic: nn.Module, real: Tensor, made: Tensor) -> Tensor:
    """What a critic minimises: half the least squares of real and of made images."""
    return (least_squares(critic(real), True) + least_squares(critic(made.detach()), False)) / 2


def decayed(rate: float, step: int, steps: int) -> float:
    """A learning rate that stays for the first half of ``steps`` and then falls to 0 linearly."""
    return rate * min(1.0, 2 * (1 - step / steps))


class ImagePool(nn.Module):
    """Earlier images for a critic, so that generators do not oscillate.

    Source also: Shrivastava et al. 2017, "Learning from simulated and unsupervised images through
    adversarial training", section 2.3. Until it is full, images go in and come out again. From then
    on each is, with a chance of one half, swapped with a random one of the pool. Random numbers
    come from torch's global generator. Images are buffers, so that a training resumes exactly.

    Parameters
    ----------
    size : images that it holds; 0: images come out as they go in.
    shape : of an image, (channels, height, width).
    """

    FITTED = frozenset({"images"})
    images: Tensor
    seen: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]):
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """As many images as go in (n, c, h, w), the same or earlier ones, without gradients."""
        size = len(self.images)
        taking_part, rest = images.detach()[:size], images.detach()[size:]
        count, device = len(taking_part), images.device
        number = self.seen + torch.arange(count, device=device)
        fresh = number < size
        # Each place once. In the step that fills the pool the rest goes on from its start.
        places = torch.where(
            self.seen < size, number % max(size, 1), torch.randperm(size, device=device)[:count]
        )
        swapped = (torch.rand(count, device=device) < 0.5) & ~fresh
        earlier = self.images[places]
        chosen = swapped.view(-1, 1, 1, 1)
        self.images[places] = torch.where(chosen | fresh.view(-1, 1, 1, 1), taking_part, earlier)
        self.seen += count
        return torch.cat([torch.where(chosen, earlier, taking_part), rest])

    def clear(self) -> None:
        """Forget the images, once trained: they are made of subjects' slices."""
        self.images = self.images[:0].clone()
