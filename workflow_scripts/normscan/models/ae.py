"""AE (dense): L1 reconstruction through a 128-dimensional code. Baur et al. 2021, Eq. 1.

With dropout it is the Bayesian AE of the study: dropout stays on at test time and reconstructions
are sampled (Pawlowski et al. 2018).
"""

from __future__ import annotations

import torch

from normscan.models.base import NeuralModel
from normscan.networks.unified import Decoder, DenseDecoding, DenseEncoding, Encoder

CAPABILITIES = {"reconstruct", "sample"}
SETTINGS = {
    "latent": 128,
    "dropout": 0.0,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
}


class Model(NeuralModel):
    """Dense autoencoder on the unified network."""

    def __init__(
        self, contrasts: int, size: int, latent: int, dropout: float, learning_rate: float
    ):
        super().__init__()
        self.learning_rate = learning_rate
        self.rate = dropout
        self.encoder = Encoder(contrasts, size)
        # Dropout is drawn from the training's own generator in decode_sample, so that resume repeats it.
        self.encoding = DenseEncoding(self.encoder.filters, latent, 0.0)
        self.decoding = DenseDecoding(self.encoder.filters, latent, 0.0)
        self.decoder = Decoder(contrasts, size)

    def losses(self, batch: torch.Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """L1 summed over a slice's pixels, averaged over slices."""
        reconstruction = self.decode_sample(self.encode(batch), generator)
        error = (reconstruction - batch).abs()
        return {"loss": error.flatten(1).sum(1).mean(), "l1": error.mean()}

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.decoding(self.encode(x)))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Code (n, latent)."""
        (code,) = self.encoding(self.encoder(x))
        return code

    def decode_sample(self, code: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Reconstruction from a code with dropout (Baur et al. 2021, section II-B)."""
        if self.rate:
            kept = torch.rand(code.shape, generator=generator, device=code.device) >= self.rate
            code = code * kept / (1 - self.rate)
        return self.decoder(self.decoding(code))


def build(contrasts: int, size: int, **settings) -> Model:
    """A model for slices (contrasts, size, size)."""
    names = ("latent", "dropout", "learning_rate")
    return Model(contrasts, size, **{name: settings[name] for name in names})
