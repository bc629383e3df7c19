"""Evidence lower bounds with an L1 likelihood."""

from __future__ import annotations

from torch import Tensor


class L1Bound:
    """For models that have their bound in parts: the whole of it."""

    # Of the differences in the bound: 1 of absolute ones, 2 of squares.
    elbo_power = 1

    def elbo_parts(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """What is expected, like ``slices``, and the rest of the bound (n,)."""
        raise NotImplementedError

    def elbo_loss(self, slices: Tensor) -> Tensor:
        """Negative evidence lower bound of each slice (n,), differentiable in the slices."""
        expected, rest = self.elbo_parts(slices)
        return (slices - expected).abs().flatten(1).sum(dim=1) + rest
