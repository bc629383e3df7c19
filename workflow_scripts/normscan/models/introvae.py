"""IntroVAE: a VAE whose encoder also tells slices from reconstructions, as its decoder's critic.

Source: Kobayashi et al. 2021, section II-B2, Eqs. 4 to 7, after Huang et al. 2018. z is a code of a
slice x, x' = D(z) its reconstruction, z' the code of that; KL is the divergence from N(0, 1), with
alpha ``adversarial_weight``, beta ``reconstruction_weight``, m ``margin``, L_AE of ``ssim_vae``:

    encoder    KL(z) + alpha max(0, m - KL(z')) + beta L_AE
    decoder    alpha KL(z') + beta L_AE

The encoder wants codes of slices near the prior, those of reconstructions at the margin; the
decoder wants reconstructions that the encoder takes for slices. Every batch is a step of the
encoder (x' fixed in the second term), then one of the decoder, judged by the encoder that has just
learned, as in Algorithm 1 of Huang et al. Slices from codes of the prior, which are judged as well
there, are not in the equations of Kobayashi et al.

Not given, beside what ``ssim_vae`` lists: the hinge is of each slice, before the mean. Batch norms
of the encoder keep the running statistics of slices alone: those of reconstructions, which it sees
twice as often, are not what it meets in use.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from normscan.models.base import Updates, adam
from normscan.models.parts.gaussian import draw, kl_to_standard
from normscan.models.ssim_vae import Model as StructuralVAE
from normscan.slices.batch import Batch, SliceShape

TITLE = "introspective variational autoencoder"
CITE = ["huang2018", "kobayashi2021", "wang2004", "bergmann2019"]
LOOK = "adversarial"
CAPABILITIES = {"reconstruct", "embed", "generate", "encode"}
PARTS = {"encoder", "decoder"}
COST = 2.5
SETTINGS = {
    "network": "kobayashi2021",
    "bottleneck": "spatial",
    "latent": 128,
    "dropout": None,
    "adversarial_weight": 0.5,
    "margin": 120.0,
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
    "adversarial_weight": "0..",
    "margin": ">0..",
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
    "adversarial_weight": "alpha, weight of what the encoder thinks of reconstructions",
    "margin": "m, the divergence that codes of reconstructions are to have [nats]",
    "reconstruction_weight": "beta, weight of the reconstruction's errors",
    "structure_weight": "weight of 1 - SSIM beside squared errors",
    "learning_rate": "step size of the encoder's optimiser",
    "decoder_learning_rate": "step size of the decoder's optimiser",
}
CHECKED_WITH = {"decoder_learning_rate": 2e-3}


class Model(StructuralVAE):
    """Encoder, which is also the critic, and decoder.

    Parameters
    ----------
    margin : divergence (nats) beyond which codes of reconstructions are far enough from the prior.
    """

    def __init__(
        self,
        shape: SliceShape,
        *,
        adversarial_weight: float = 0.5,
        margin: float = 120.0,
        **settings: Any,
    ):
        super().__init__(shape, **settings)
        self.adversarial_weight, self.margin = adversarial_weight, margin

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {
            "encoder": adam(self.encoder.parameters(), self.learning_rate),
            "decoder": adam(self.decoder.parameters(), self.decoder_learning_rate),
        }

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        mean, log_variance = self.encoder(batch.slices)
        divergence = kl_to_standard(mean, log_variance).mean()
        expected = self.decoder(draw(mean, log_variance))
        error = self.reconstruction_weight * (
            self.reconstruction_error(batch.targets, expected).mean()
        )
        hinge = margin_loss(self.divergence_of_made(expected.detach()), self.margin).mean()
        encoder = divergence + self.adversarial_weight * hinge + error
        # The reconstruction is needed again: its graph has no weights of the encoder after z.
        update("encoder", encoder, retain_graph=True)
        made = self.divergence_of_made(expected).mean()
        decoder = self.adversarial_weight * made + error
        update("decoder", decoder)
        return {
            "encoder": encoder,
            "decoder": decoder,
            "reconstruction": (batch.targets - expected).abs().mean(),
            "kl": divergence,
            "kl_reconstructions": made,
        }

    def divergence_of_made(self, slices: Tensor) -> Tensor:
        """KL of the codes of slices that the decoder made (n,)."""
        with statistics_kept(self.encoder):
            return kl_to_standard(*self.encoder(slices))


def margin_loss(divergence: Tensor, margin: float) -> Tensor:
    """By how much divergences (n,) fall short of a margin, 0 beyond it (n,)."""
    return (margin - divergence).clamp_min(0)


@contextmanager
def statistics_kept(module: nn.Module) -> Generator[None]:
    """Batch norms normalise by their batch as usual, but their running statistics stay."""
    norms = [one for one in module.modules() if isinstance(one, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
