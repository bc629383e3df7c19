"""Likelihoods p(x|z) of a decoder: of absolute errors, or Gaussian with a standard deviation.

``l1`` (Baur et al. 2021, II-A): minus its logarithm is the sum of absolute errors. ``gaussian``
(You et al. 2019, section 2.1; appendix A, Table 3): the decoder gives a second image, the logarithm
of the variance of each pixel, and training maximises log N(x; mean, variance). Table 3 calls it
sigma; that the logarithm of the variance comes out is as in the published code.

Not given in the paper: limits of that logarithm. It is bent softly into [-7, 4] (standard
deviations of 0.03, about the noise of scans in [0, 1], to 7.4), so that the background, which is
exactly 0 everywhere, cannot be predicted ever more surely, and that no gradient vanishes beyond a
limit. The published code clips the standard deviation at 1e-8 and 1; 1 would be too small for
z-scored slices.

Early stopping, of which the paper says nothing, goes by -log p(x|z) of held-out slices at the mean
of their codes: while a deviation is learnt the error of the mean may rise, and would end training
within a few epochs.

**The bound of a trained model** has another standard deviation: 1/sqrt(2) in the whole image, which
makes -log p(x|z) the sum of squared errors, up to a constant (You et al., end of section 2.2: the
predicted one is large where lesions are, and would take the gradient away there).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from normscan.models.parts.bound import L1Bound
from normscan.models.parts.coding import CodingModel, absolute_errors
from normscan.slices.batch import Batch, SliceShape

# Images that a decoder gives for each of the two.
IMAGES = {"l1": 1, "gaussian": 2}
LOWEST, HIGHEST = -7.0, 4.0


class LikelihoodModel(L1Bound, CodingModel):
    """A coding model that has either likelihood, and a bound in parts.

    Parameters
    ----------
    likelihood : ``l1`` or ``gaussian``.
    """

    def __init__(self, shape: SliceShape, *, likelihood: str = "l1", **settings: Any):
        super().__init__(shape, images=IMAGES[likelihood], **settings)
        self.elbo_power = IMAGES[likelihood]

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Mean of p(x|z) at the mean of the code."""
        return self.expected(self.encoder(slices)[0])

    def expected(self, code: Tensor) -> Tensor:
        """Mean of p(x|z) (n, targets, height, width)."""
        return self.decoder(code).chunk(self.elbo_power, dim=1)[0]

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """L1 error, or -log p(x|z) at the mean of the code, per pixel (n,)."""
        if self.elbo_power == 1:
            return super().validation_loss(phase, batch)
        surprise, _ = self.negative_log(batch.targets, self.encoder(batch.slices)[0])
        return surprise / batch.targets[0].numel()

    def fits(self, surprise: Tensor, errors: Tensor, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """What the training curve shows beside the validation loss: means per pixel."""
        pixels = batch.targets[0].numel()
        found = {"reconstruction": errors.mean() / pixels}
        return (
            found if self.elbo_power == 1 else {**found, "negative_log": surprise.mean() / pixels}
        )

    def negative_log(self, targets: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """-log p(x|z) of each slice (n,), and the absolute errors of its mean (n,).

        Of ``l1`` without its constant, so that both are the same.
        """
        images = self.decoder(code).chunk(self.elbo_power, dim=1)
        errors = absolute_errors(targets, images[0])
        if self.elbo_power == 1:
            return errors, errors
        return gaussian_errors(targets, images[0], bounded(images[1])), errors

    def elbo_loss(self, slices: Tensor) -> Tensor:
        """Negative evidence lower bound of each slice (n,), differentiable in the slices.

        With a Gaussian likelihood its standard deviation is 1/sqrt(2) everywhere: squared errors.
        """
        if self.elbo_power == 1:
            return super().elbo_loss(slices)
        expected, rest = self.elbo_parts(slices)
        return (slices - expected).square().flatten(1).sum(dim=1) + rest


def gaussian_errors(targets: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """-log N(targets; mean, exp(log_variance)) summed over each slice's pixels (n,)."""
    squares = (targets - mean).square() * (-log_variance).exp()
    return 0.5 * (squares + log_variance + math.log(2 * math.pi)).flatten(1).sum(dim=1)


def bounded(log_variance: Tensor) -> Tensor:
    """Any values, bent softly into [``LOWEST``, ``HIGHEST``]; nearly as they were between."""
    below = HIGHEST - softplus(HIGHEST - log_variance)
    return torch.add(softplus(below - LOWEST), LOWEST)
