"""VAE: L1 reconstruction and KL divergence to a standard normal. Baur et al. 2021, section II-A.

L1 is summed over a slice's pixels and KL over the code's dimensions, both averaged over slices, with
KL weight 1.0 (Table II); the reductions are not given in the paper, chosen because this is the
negative evidence lower bound of a Laplace likelihood with unit scale.
"""

from __future__ import annotations

import torch

from normscan.models.base import NeuralModel, gaussian, kl_to_standard
from normscan.networks.unified import Decoder, DenseDecoding, DenseEncoding, Encoder

CAPABILITIES = {"reconstruct", "sample", "elbo"}
SETTINGS = {
    "latent": 128,
    "kl_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
}


class Model(NeuralModel):
    """Variational autoencoder on the unified network."""

    def __init__(
        self, contrasts: int, size: int, latent: int, kl_weight: float, learning_rate: float
    ):
        super().__init__()
        self.learning_rate, self.kl_weight = learning_rate, kl_weight
        self.encoder = Encoder(contrasts, size)
        self.encoding = DenseEncoding(self.encoder.filters, latent, 0.0, outputs=2)
        self.decoding = DenseDecoding(self.encoder.filters, latent, 0.0)
        self.decoder = Decoder(contrasts, size)

    def losses(self, batch: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
        mean, log_variance = self.encode(batch)
        reconstruction = self.decode(gaussian(mean, log_variance, generator))
        error = (reconstruction - batch).abs()
        kl = kl_to_standard(mean, log_variance).mean()
        loss = error.flatten(1).sum(1).mean() + self.kl_weight * kl
        return {"loss": loss, "l1": error.mean(), "kl": kl}

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance (n, latent) of q(z|x)."""
        return self.encoding(self.encoder(x))

    def decode(self, code: torch.Tensor) -> torch.Tensor:
        """Reconstruction (n, contrasts, h, w) of a code."""
        return self.decoder(self.decoding(code))

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruction of the mean code."""
        return self.decode(self.encode(x)[0])

    def decode_sample(
        self, code: tuple[torch.Tensor, torch.Tensor], generator: torch.Generator
    ) -> torch.Tensor:
        """Reconstruction of a code drawn from q(z|x)."""
        return self.decode(gaussian(*code, generator))

    def elbo_loss(self, x: torch.Tensor) -> torch.Tensor:
        """Negative evidence lower bound per slice (n,), differentiable in x.

        The code is its mean, so that gradient steps on the image are deterministic; the likelihood
        is the one the model was trained with (L1), as in Baur et al. 2021, Eq. 4.
        """
        mean, log_variance = self.encode(x)
        error = (self.decode(mean) - x).abs().flatten(1).sum(1)
        return error + self.kl_weight * kl_to_standard(mean, log_variance)


def build(contrasts: int, size: int, **settings) -> Model:
    """A model for slices (contrasts, size, size)."""
    names = ("latent", "kl_weight", "learning_rate")
    return Model(contrasts, size, **{name: settings[name] for name in names})
