"""DAGMM of pixels: an autoencoder of the contrasts of each pixel, and a mixture of what it gives.

Source: Zong et al. 2018, "Deep autoencoding Gaussian mixture model", section 3: the features of the
mixture are the code and two errors of reconstruction (relative Euclidean distance, cosine
similarity); the loss is the squared error, plus 0.1 (``density_weight``) times the mean energy,
plus 0.005 (``penalty_weight``) times the penalty on small variances (sections 3.4 and 4.3). As a
baseline of pixels it is that of Kim et al. 2021, supplement III-E and III-F: codes of three values,
six components and, with ``layers: convolutional``, their DAGc (3x3 convolutions 4-32-16-8-3, then
1x1 ones 3-8-16-32-4, tanh between them; the 4 are as many contrasts as there are).

Not given there, and assumed: the widths of the pixelwise variant, which are DAGc's; that it leaves
out the background, as their other models of pixels do (III-A, III-C); the least norm of a pixel
that errors are divided by; the bound of Kim et al. on eigenvalues beside the penalty, without which
a training may be interrupted (their Fig. 8); the batch size; early stopping.
"""

from __future__ import annotations

import operator
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from normscan.models.base import BaseModel, Batches, adam
from normscan.models.parts.density import (
    DensityEstimator,
    Mixture,
    Moments,
    energy,
    evenly_chosen,
    offset,
    penalty,
    smallest_eigenvalue,
)
from normscan.networks.foreground import inside
from normscan.slices.batch import Batch, SliceShape

TITLE = "deep autoencoding Gaussian mixture model"
CITE = {
    "zong2018": "Zong B, Song Q, Min MR, Cheng W, Lumezanu C, Cho D, Chen H. Deep autoencoding "
    "Gaussian mixture model for unsupervised anomaly detection. International Conference on "
    "Learning Representations, 2018. https://openreview.net/forum?id=BJJLHbb0-",
    "kim2021": "",
}
LOOK = "density"
COST = 0.5
CAPABILITIES = {"reconstruct", "energy"}
SETTINGS = {
    "layers": "pixelwise",
    "widths": [32, 16, 8],
    "latent": 3,
    "components": 6,
    "density_weight": 0.1,
    "penalty_weight": 0.005,
    "bound": "eigenvalue",
    "epsilon": 1e-6,
    "dropout": 0.5,
    "fit_share": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 16,
    "max_epochs": 50,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "layers": ["pixelwise", "convolutional"],
    "widths": "each whole 1..",
    "latent": "whole 1..",
    "components": "whole 1..",
    "density_weight": "0..",
    "penalty_weight": "0..",
    "bound": ["eigenvalue", "none"],
    "epsilon": ">0..",
    "dropout": "0..<1",
    "fit_share": ">0..1",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "layers": "pixelwise (DAG of the second paper), or convolutional (DAGc)",
    "widths": "features after each layer of the encoder, in its order",
    "latent": "numbers of a pixel's code",
    "density_weight": "weight of the mean energy; the squared error has 1",
    "penalty_weight": "weight of the penalty on small variances",
    "bound": "whether eigenvalues of covariances are kept from 0",
    "epsilon": "the least eigenvalue [squared units of the features]",
    "dropout": "rate in the network that estimates the mixture",
    "fit_share": "share of the training slices that the final mixture is fitted to",
}
CHECKED_WITH = {"latent": 3, "learning_rate": 5e-3}
# Pixels that are darker, over all contrasts, have errors relative to this; brain is about 1.
LEAST_NORM = 0.1


class Model(BaseModel):
    """Encoder and decoder that keep the grid, and a mixture of their features of pixels."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        layers: str = "pixelwise",
        widths: list[int] | tuple[int, ...] = (32, 16, 8),
        latent: int = 3,
        components: int = 6,
        density_weight: float = 0.1,
        penalty_weight: float = 0.005,
        bound: str = "eigenvalue",
        epsilon: float = 1e-6,
        dropout: float = 0.5,
        fit_share: float = 1.0,
        learning_rate: float = 1e-4,
    ):
        super().__init__(shape)
        self.density_weight, self.penalty_weight = density_weight, penalty_weight
        self.fit_share, self.learning_rate = fit_share, learning_rate
        down = [shape.inputs, *widths, latent]
        self.encoder = convolutions(down, 3 if layers == "convolutional" else 1)
        self.decoder = convolutions(down[::-1], 1)
        self.density = DensityEstimator(
            latent + 2, components, dropout=dropout, bound=bound, epsilon=epsilon
        )

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.trainable(), self.learning_rate)}

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Decoded codes of pixels (n, contrasts, size, size), in the brain."""
        return self.decoder(self.encoder(slices)) * inside(slices).unsqueeze(1)

    def energy(self, slices: Tensor) -> Tensor:
        """Energies (n, size, size) under the fitted mixture, less its :func:`offset`.

        0 in the background.
        """
        features, _ = self._pixels(slices)
        mixture = self.density.mixture
        # Rounding alone could make them negative: the offset is a lower bound.
        found = (energy(features, mixture) - offset(mixture)).clamp_min(0).float()
        brain = inside(slices)
        return found.new_zeros(brain.shape).masked_scatter(brain, found)

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        features, differences = self._pixels(batch.slices)
        mixture = self._mixture(features)
        error = differences.square().sum(dim=1).mean()
        mean_energy = energy(features, mixture).mean()
        loss = error + self.density_weight * mean_energy + self.penalty_weight * penalty(mixture)
        return {
            "loss": loss,
            "reconstruction": differences.abs().mean(),
            "energy": mean_energy,
            "log10_smallest_eigenvalue": smallest_eigenvalue(mixture).log10(),
        }

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """The loss of each slice (n,), with the mixture of the batch."""
        features, differences = self._pixels(batch.slices)
        mixture = self._mixture(features)
        brain = inside(batch.slices)
        found = differences.square().sum(dim=1) + self.density_weight * energy(features, mixture)
        losses = found.new_zeros(brain.shape).masked_scatter(brain, found)
        counts = brain.flatten(1).sum(dim=1).clamp_min(1)
        return losses.flatten(1).sum(dim=1) / counts + self.penalty_weight * penalty(mixture)

    def finish_phase(self, phase: str, batches: Batches) -> dict[str, float] | None:
        """Fit the final mixture to a share of the training slices."""
        parts = evenly_chosen(batches(), self.fit_share)
        self.density.fit(reduce(operator.add, map(self._moments, parts)))
        return None

    def _moments(self, slices: Tensor) -> Moments:
        features, _ = self._pixels(slices)
        return Moments.of(features, self.density.responsibilities(features))

    def _mixture(self, features: Tensor) -> Mixture:
        return self.density.estimate(features, self.density.responsibilities(features))

    def _pixels(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Features (pixels, latent + 2) and errors (pixels, contrasts) of the brain's pixels."""
        brain = inside(slices)
        features, differences = self._forward(slices)
        return features[brain], differences[brain]

    def _forward(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, size, size, latent + 2) and errors (n, size, size, contrasts)."""
        codes = self.encoder(slices)
        given, expected = slices.movedim(1, 3), self.decoder(codes).float().movedim(1, 3)
        errors = torch.stack(reconstruction_errors(given, expected), dim=3)
        return torch.cat([codes.float().movedim(1, 3), errors], dim=3), given - expected


def reconstruction_errors(given: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Relative Euclidean distance and cosine similarity of vectors (..., d): (...) each."""
    norm = torch.linalg.vector_norm(given, dim=-1).clamp_min(LEAST_NORM)
    distance = torch.linalg.vector_norm(given - expected, dim=-1) / norm
    return distance, functional.cosine_similarity(given, expected, dim=-1)


def convolutions(widths: list[int], side: int) -> nn.Sequential:
    """Convolutions of ``side`` x ``side`` pixels, tanh between them, none after the last."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, side, padding=side // 2), nn.Tanh()]
    return nn.Sequential(*layers[:-1])
