"""Random numbers on the device that they are needed on."""

from __future__ import annotations

import torch
from torch import Tensor


class Draws:
    """Random numbers from a given generator, or from torch's global one.

    Parameters
    ----------
    device : that of the numbers.
    generator : on that device; None: torch's global one, which trainings seed and keep in their
        checkpoints, and seed alike before each validation.
    """

    def __init__(self, device: torch.device, generator: torch.Generator | None = None):
        self.device, self.generator = device, generator

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Numbers from [low, high), float32."""
        drawn = torch.rand(shape, generator=self.generator, device=self.device)
        return low + (high - low) * drawn

    def normal(self, *shape: int) -> Tensor:
        """Numbers from N(0, 1), float32."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def whole(self, low: int, above: int, *shape: int) -> Tensor:
        """Whole numbers from ``low`` to ``above`` - 1, int64."""
        return torch.randint(low, above, shape, generator=self.generator, device=self.device)
