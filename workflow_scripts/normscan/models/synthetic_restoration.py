"""Restoration of synthetic corruptions: what a network takes back is abnormal.

Source: Naval Marimont et al. 2024 (DISYRE v2), a cold diffusion (Bansal et al. 2023): healthy
slices are corrupted by a random shape with foreign texture and another intensity, to one of 100
degrees (``levels``); the network, given the degree, predicts the healthy slice. A slice that is
looked at is restored in a few ``steps`` from the highest degree to the lowest, and what the network
expects is averaged over the steps. How slices are corrupted:
:mod:`normscan.models.parts.corruptions`.

A corruption to degree t is x + t (y - x), with x the slice and y the corruption to degree 1. So
what the slice would be at the next lower degree s follows from what it is, x_t, and from the
expectation e, which stands for x, without knowing the shape: e + s/t (x_t - e).

Assumed: the network gives what is to be added to the slice; it sees the degree as one more channel,
the degree in the foreground and 0 elsewhere; squared error (with absolute ones, to change nothing
is nearly best, and hard to leave); steps evenly spaced from degree 1 on; residuals are those of the
mean expectation (the paper's score is a mean of residuals), so that they have a sign; ``strength``
of the intensity bias, in sizes of the slice (root mean square of its foreground).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.models.parts.corruptions import at_degree, shaped
from normscan.models.parts.draws import Draws
from normscan.models.parts.translating import ImageModel
from normscan.networks.foreground import inside
from normscan.slices.batch import Batch, SliceShape

TITLE = "restoration of synthetic corruptions"
CITE = {
    "marimont2024": "Naval Marimont S, Siomos V, Baugh M, Tzelepis C, Kainz B, Tarroni G. "
    "Ensembled cold-diffusion restorations for unsupervised anomaly detection. MICCAI 2024. "
    "https://arxiv.org/abs/2407.06635",
    "bansal2023": "Bansal A, Borgnia E, Chu HM, et al. Cold diffusion: inverting arbitrary image "
    "transforms without noise. Advances in Neural Information Processing Systems 36, 2023. "
    "https://arxiv.org/abs/2208.09392",
}
LOOK = "denoising"
COST = 12.0
CAPABILITIES = {"reconstruct"}
PARTS = {"image_to_image"}
SETTINGS = {
    "levels": 100,
    "steps": 5,
    "strength": 1.0,
    "network": "unet",
    "depth": 4,
    "width": 32,
    "learning_rate": 1e-4,
    "batch_size": 32,
    "max_epochs": 1000,
    "patience": 10,
    "precision": "auto",
}
ALLOWED = {
    "levels": "whole 1..",
    "steps": "whole 1..",
    "strength": "0..",
    "depth": "1..",
    "width": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "levels": "degrees of corruption in training",
    "steps": "of a restoration",
    "strength": "largest intensity bias [root mean squares of a slice's foreground]",
}
# For tests of all families.
CHECKED_WITH = {"depth": 2, "width": 4, "learning_rate": 1e-2, "max_epochs": 40, "patience": 40}


class Model(ImageModel):
    """A network from slices and a degree of corruption to the healthy slices."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        levels: int = 100,
        steps: int = 5,
        strength: float = 1.0,
        **settings: Any,
    ):
        super().__init__(shape._replace(inputs=shape.inputs + 1), shape.targets, **settings)
        self.shape = shape
        self.levels, self.steps, self.strength = levels, steps, strength

    def restored(self, slices: Tensor, degree: Tensor) -> Tensor:
        """What slices would be without their corruption; background stays as it is.

        Parameters
        ----------
        degree : of the corruption (n, 1, 1, 1), above 0 and up to 1.
        """
        brain = inside(slices)[:, None]
        level = degree * brain
        return slices + self.network(torch.cat([slices, level], dim=1)) * brain

    def reconstruct(self, slices: Tensor) -> Tensor:
        """The mean of what is expected in the steps of a restoration, from degree 1 on."""
        current, total = slices, torch.zeros_like(slices)
        for step in range(self.steps, 0, -1):
            degree = slices.new_full((len(slices), 1, 1, 1), step / self.steps)
            expected = self.restored(current, degree)
            total = total + expected
            current = expected + (step - 1) / step * (current - expected)
        return total / self.steps

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Squared error per pixel of restored slices that were corrupted."""
        error = self._errors(batch)
        return {"loss": error.square().mean(), "reconstruction": error.abs().mean()}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """The same of each slice (n,)."""
        return self._errors(batch).square().flatten(1).mean(dim=1)

    def _errors(self, batch: Batch[Tensor]) -> Tensor:
        """What restored slices (n, channels, size, size) lack, each corrupted to a random degree.

        Random numbers are the global ones, which the training loop seeds alike before each
        validation.
        """
        slices = batch.slices
        draws = Draws(slices.device)
        degree = draws.whole(1, self.levels + 1, len(slices), 1, 1, 1) / self.levels
        corrupted = at_degree(slices, shaped(slices, draws, self.strength), degree)
        return batch.targets - self.restored(corrupted, degree)
