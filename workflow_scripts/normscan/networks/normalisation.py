"""Batch norm whose running statistics are right from the first steps."""

from __future__ import annotations

from torch import Tensor, nn

MOMENTUM = 0.1


class BatchNorm(nn.BatchNorm2d):
    """Batch norm with running statistics that are plain means over the first ten batches.

    Torch starts them at mean 0 and variance 1, which they forget only after some fifty batches; on
    a small training set the first epochs' validation losses would mean nothing.
    """

    settled = False

    def forward(self, input: Tensor) -> Tensor:
        if self.training and not self.settled:
            seen = int(self.num_batches_tracked or 0)
            self.momentum = max(MOMENTUM, 1 / (1 + seen))
            self.settled = self.momentum == MOMENTUM
        return super().forward(input)

    def reset_running_stats(self) -> None:
        super().reset_running_stats()
        self.settled = False
