"""Denoising AE: gives back slices to which coarse noise was added; lesions go with the noise.

Source: Kascenas et al. 2022, "Denoising autoencoders for unsupervised anomaly detection in brain
MRI", and its published code (``noise: gaussian``): noise on a grid of 16 x 16 points, sigma 0.2,
in the foreground only; a U-Net of four scales (three halvings) and 64 channels at full size; the
squared error in the foreground; Adam (AMSGrad, weight decay 1e-5) at 1e-4, batches of 16, 67,000
steps, of which the best on held-out slices is kept. ``noise: blobs`` is that of QBAE (2026), with
AdamW at 1e-3: blobs whose strength follows the slice's standard deviation.

Otherwise than in the code: batch norm and ReLU of this project's U-Net instead of group norm and
swish. The learning rate falls along half a cosine to 0 over the whole training; there it swings so
every 3,200 steps. Assumed for ``blobs``: everything but the noise and the optimiser. With
``neighbours`` the slices above and below are further inputs. They have the noise of the slice, as a
lesion goes through them: with noise of their own they would show what is behind that of the slice.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from normscan.compute.devices import channels_last
from normscan.models.base import Updates
from normscan.models.parts.noise import blob_noise, grid_noise
from normscan.models.parts.translating import ImageModel
from normscan.networks.foreground import inside
from normscan.slices.batch import Batch, SliceShape

TITLE = "denoising autoencoder"
CITE = {
    "kascenas2022": "Kascenas A, Pugeault N, O'Neil AQ. Denoising autoencoders for unsupervised "
    "anomaly detection in brain MRI. Proceedings of the 5th International Conference on Medical "
    "Imaging with Deep Learning, PMLR 172, 2022:653–664. "
    "https://proceedings.mlr.press/v172/kascenas22a.html"
}
LOOK = "denoising"
COST = 24.0
CAPABILITIES = {"reconstruct", "sample"}
PARTS = {"image_to_image"}
TRANSLATES = True
SETTINGS = {
    "network": "unet",
    "depth": 3,
    "width": 64,
    "noise": "gaussian",
    "grid": 16,
    "sigma": 0.2,
    "largest_radius": 17.0,
    "steps": 67000,
    "learning_rate": None,
    "batch_size": 16,
    "precision": "auto",
}
ALLOWED = {
    "depth": "1..",
    "width": "1..",
    "noise": ["gaussian", "blobs"],
    "grid": "1..",
    "sigma": ">0..",
    "largest_radius": "1..1024",
    "steps": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "noise": "gaussian, on a coarse grid; or blobs, whose strength follows the slice's",
    "grid": "of gaussian noise: points a side",
    "sigma": "of gaussian noise: its standard deviation [units of intensity]",
    "largest_radius": "of blobs [pixels]",
    "steps": "that are trained; the best on held-out slices is kept [batches]",
    "learning_rate": "step size of the optimiser; null: 1e-4 for gaussian noise, 1e-3 for blobs",
}
# For tests of all families.
CHECKED_WITH = {"depth": 2, "width": 4, "grid": 4, "steps": 75, "learning_rate": 1e-2}
GAUSSIAN = "gaussian"
RATES = {GAUSSIAN: 1e-4, "blobs": 1e-3}
WEIGHT_DECAY = 1e-5


class Model(ImageModel):
    """A network from noisy inputs to the targets of the slice in their middle."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        noise: str = GAUSSIAN,
        grid: int = 16,
        sigma: float = 0.2,
        largest_radius: float = 17.0,
        steps: int = 67000,
        learning_rate: float | None = None,
        **settings: Any,
    ):
        rate = RATES[noise] if learning_rate is None else learning_rate
        super().__init__(shape, shape.targets, learning_rate=rate, **settings)
        self.noise, self.grid, self.sigma = noise, grid, sigma
        self.largest_radius, self.steps = largest_radius, steps

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        own, rate = self.trainable(), self.learning_rate
        if self.noise == GAUSSIAN:
            found = torch.optim.Adam(own, lr=rate, weight_decay=WEIGHT_DECAY, amsgrad=True)
            return {"main": found}
        return {"main": torch.optim.AdamW(own, lr=rate)}

    def limits(self, phase: str) -> dict[str, int]:
        """All steps are taken: no epoch is too many epochs after the best one."""
        return {"max_steps": self.steps, "patience": self.steps}

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        for group in update.optimisers["main"].param_groups:
            # A function of the step alone, so that resumed trainings have it too.
            group["lr"] = (
                self.learning_rate * (1 + math.cos(math.pi * update.step / self.steps)) / 2
            )
        return super().training_step(phase, batch, update)

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Squared error, and ``reconstruction``, the absolute one, in the foreground."""
        error = self._errors(batch)
        return {"loss": error.square().mean(), "reconstruction": error.abs().mean()}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """Squared error per pixel (n,), of noisy slices."""
        return self._errors(batch).square().flatten(1).mean(dim=1)

    def _errors(self, batch: Batch[Tensor]) -> Tensor:
        """What the network gives of noisy slices minus targets, 0 in the targets' background."""
        expected = self.network(self.noisy(batch.slices))
        return (expected - batch.targets) * inside(batch.targets)[:, None]

    @torch.no_grad()
    def noisy(self, slices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Slices (n, inputs, size, size) with noise in their foreground.

        Parameters
        ----------
        generator : on the device of the slices; None: torch's global one.
        """
        # Half precision would make steps of smooth noise.
        with torch.autocast(slices.device.type, enabled=False):
            stacked = self._stacked(slices)
            foreground = (stacked != 0).any(dim=2, keepdim=True)
            middle = stacked[:, self.shape.neighbours]
            if self.noise == GAUSSIAN:
                drawn = grid_noise(middle, self.grid, self.sigma, generator)[:, None]
            else:
                drawn = blob_noise(middle, self.largest_radius, generator)[:, None]
                drawn = drawn * _deviations(stacked, foreground)
            return channels_last((stacked + drawn * foreground).flatten(1, 2))

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Targets (n, targets, size, size) without what is noise to the network; background 0."""
        middle = self._stacked(slices)[:, self.shape.neighbours]
        return self.network(slices) * inside(middle)[:, None]

    def encode(self, slices: Tensor) -> Tensor:
        """The slices: noise goes before everything that could be computed once."""
        return slices

    def decode_sample(self, code: Tensor, generator: torch.Generator) -> Tensor:
        """The reconstruction of slices (n, inputs, size, size) with noise as in training."""
        return self.reconstruct(self.noisy(code, generator))

    def _stacked(self, slices: Tensor) -> Tensor:
        """Inputs by slice, from the lowest neighbour up (n, slices, contrasts, size, size)."""
        return slices.unflatten(1, (2 * self.shape.neighbours + 1, -1))


def _deviations(stacked: Tensor, foreground: Tensor) -> Tensor:
    """Standard deviation of each contrast in the foreground (n, 1, contrasts, 1, 1).

    Parameters
    ----------
    stacked : (n, slices, contrasts, size, size).
    foreground : (n, slices, 1, size, size).
    """
    over = (1, 3, 4)
    pixels = foreground.sum(dim=over, keepdim=True).clamp_min(1)
    mean = (stacked * foreground).sum(dim=over, keepdim=True) / pixels
    squares = ((stacked - mean).square() * foreground).sum(dim=over, keepdim=True)
    return (squares / pixels).sqrt()
