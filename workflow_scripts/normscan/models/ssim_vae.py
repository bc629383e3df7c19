"""VAE whose reconstructions are held to squared errors and structural similarity.

Source: Kobayashi et al. 2021, sections II-B1, III-C1 and III-C2: the "VAE" that the paper compares
IntroVAE (family ``introvae``) with, the same network and loss without the introspective part. With
beta ``reconstruction_weight``,

    L = KL(q(z|x) || N(0, 1)) + beta L_AE
    L_AE = N (mean of squares + structure_weight (1 - SSIM))

Adam's rate is 1e-4 for the encoder and 5e-3 for the decoder.

N is 256 * 256, the pixels of the paper's slices, so that L_AE is a sum over pixels there. Codes of
smaller slices are as large (``networks/kobayashi2021.py``), and so are divergences; with sums over
fewer pixels the same beta would let codes collapse to the prior.

Not given: reductions (sums over pixels and over the code, means over slices, as in Huang et al.
2018), the weight of SSIM (1; 0 leaves squared errors alone), beta of the VAE (that of IntroVAE),
whether the VAE of the paper has SSIM in its loss (it is described with IntroVAE's). Squares are of
differences in the paper's range of [-1, 1], twice those of slices in [0, 1]. SSIM is that of slices
in [0, 1]: it is defined for intensities of at least 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.errors import ConfigError
from normscan.models.parts.coding import CodingModel
from normscan.models.parts.gaussian import draw, kl_to_standard
from normscan.models.parts.structure import WINDOW, structural_similarity
from normscan.slices.batch import Batch, SliceShape

TITLE = "variational autoencoder with structural similarity"
PAGE = "introvae"
CITE = ["kingma2014", "wang2004", "bergmann2019", "kobayashi2021"]
LOOK = "variational"
CAPABILITIES = {"reconstruct", "embed", "generate", "encode"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "kobayashi2021",
    "bottleneck": "spatial",
    "latent": 128,
    "dropout": None,
    "reconstruction_weight": 0.04,
    "structure_weight": 1.0,
    "learning_rate": 1e-4,
    "decoder_learning_rate": 5e-3,
    "batch_size": 120,
    "max_epochs": 200,
    "patience": 200,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "dropout": "0..<1",
    "reconstruction_weight": "0..",
    "structure_weight": "0..",
    "learning_rate": ">0..",
    "decoder_learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
TOGETHER = {
    "structure_weight == 0 or size >= 11": "must be 0 for slices smaller than the "
    "window of the structural similarity, 11 pixels",
}
MEANING = {
    "reconstruction_weight": "beta, weight of the reconstruction's errors",
    "structure_weight": "weight of 1 - SSIM beside squared errors",
    "learning_rate": "step size of the encoder's optimiser",
    "decoder_learning_rate": "step size of the decoder's optimiser",
}
CHECKED_WITH = {"decoder_learning_rate": 2e-3}
# The paper's range, [-1, 1], is so much wider than that of slices, [0, 1].
RANGE = 2.0
# Pixels of the paper's slices.
PIXELS = 256 * 256


class Model(CodingModel):
    """Encoder to mean and log variance of a code, decoder.

    Parameters
    ----------
    learning_rate, decoder_learning_rate : of encoder and decoder.

    Raises
    ------
    ConfigError : slices too small for the window of the structural similarity.
    """

    codes = 2

    def __init__(
        self,
        shape: SliceShape,
        *,
        reconstruction_weight: float = 0.04,
        structure_weight: float = 1.0,
        decoder_learning_rate: float = 5e-3,
        **settings: Any,
    ):
        super().__init__(shape, **settings)
        if structure_weight and shape.size < WINDOW:
            raise ConfigError(
                f"slices.size: found {shape.size}; the structural similarity needs at least "
                f"{WINDOW}, unless structure_weight is 0"
            )
        self.reconstruction_weight = reconstruction_weight
        self.structure_weight = structure_weight
        self.decoder_learning_rate = decoder_learning_rate
        self.code_shape = self._code_shape()

    def _code_shape(self) -> torch.Size:
        """Shape of one code: the network's, and told by its outputs alone."""
        self.encoder.eval()
        with torch.no_grad():
            empty = torch.zeros(1, self.shape.inputs, self.shape.size, self.shape.size)
            found = self.encoder(empty)[0].shape[1:]
        self.encoder.train()
        return found

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        groups = [
            {"params": list(self.encoder.parameters())},
            {"params": list(self.decoder.parameters()), "lr": self.decoder_learning_rate},
        ]
        return {"main": torch.optim.Adam(groups, lr=self.learning_rate)}

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        mean, log_variance = self.encoder(batch.slices)
        expected = self.decoder(draw(mean, log_variance))
        error = self.reconstruction_error(batch.targets, expected).mean()
        divergence = kl_to_standard(mean, log_variance).mean()
        return {
            "loss": divergence + self.reconstruction_weight * error,
            "reconstruction": (batch.targets - expected).abs().mean(),
            "kl": divergence,
        }

    def reconstruction_error(self, targets: Tensor, expected: Tensor) -> Tensor:
        """L_AE of each slice (n,): squares in the range [-1, 1], and 1 - SSIM."""
        error = (RANGE * (targets - expected)).square().flatten(1).mean(dim=1)
        if self.structure_weight:
            similarity = structural_similarity(targets, expected)
            error = error + self.structure_weight * (1 - similarity)
        return self.shape.targets * PIXELS * error

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes (count, ...) from N(0, 1)."""
        shape = (count, *self.code_shape)
        return torch.randn(shape, generator=generator, device=generator.device)

    def generate(self, codes: Tensor) -> Tensor:
        """Slices from codes."""
        return self.decoder(codes)

    def infer_codes(self, slices: Tensor) -> Tensor:
        """Means of the codes (n, ...)."""
        return self.encoder(slices)[0]
