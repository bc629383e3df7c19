"""Early stopping, and the best weights so far."""

from __future__ import annotations

import math
from typing import Any

# Baur et al. 2021, III-B: training ends when the validation loss "did not improve more than an
# epsilon > 10e-9 for 5 epochs".
LEAST_IMPROVEMENT = 10e-9
# Not given in the paper, whose epochs have more steps than this: on a small training set the loss
# may rise for some epochs before codes and batch norm have found each other.
SETTLING_STEPS = 200


class EarlyStopping:
    """Watches the validation loss of one phase.

    Attributes
    ----------
    best, best_epoch : lowest loss so far and its epoch (from 1); infinite and 0 before the first.
    waited : epochs since, as far as they count.
    """

    def __init__(self, patience: int, least_improvement: float = LEAST_IMPROVEMENT):
        self.patience, self.least_improvement = patience, least_improvement
        self.best, self.best_epoch, self.waited = math.inf, 0, 0

    def update(self, loss: float, epoch: int, steps: int) -> bool:
        """Take in an epoch's loss; whether it is the best so far.

        Parameters
        ----------
        epoch : its number, from 1.
        steps : training steps so far.
        """
        if loss < self.best - self.least_improvement:
            self.best, self.best_epoch, self.waited = loss, epoch, 0
            return True
        if steps >= SETTLING_STEPS:
            self.waited += 1
        return False

    @property
    def over(self) -> bool:
        """Whether training has gone on long enough without improvement."""
        return self.waited >= self.patience

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        best = self.best if math.isfinite(self.best) else None
        return {"best": best, "best_epoch": self.best_epoch, "waited": self.waited}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        self.best = math.inf if state["best"] is None else state["best"]
        self.best_epoch, self.waited = state["best_epoch"], state["waited"]
