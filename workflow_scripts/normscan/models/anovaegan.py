"""AnoVAEGAN: a VAE whose decoder is also the generator of a Wasserstein GAN.

Source: Baur et al. 2021, III-B, after Baur et al. 2018 (its reference [3]). Every batch is a step
of the VAE and one of a critic that tells slices from their reconstructions (gradient penalty,
weight 10); every fifth batch is also a step of the decoder alone, towards what the critic takes for
real. Steps of their own, as in the published code, need no weight between errors summed over pixels
and the critic's value: Adam makes them equally long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.models.base import Updates
from normscan.models.parts.adversarial import adversarial_adam, critic_losses
from normscan.models.parts.gaussian import draw
from normscan.models.vae import Model as VAE
from normscan.networks import registry as networks
from normscan.slices.batch import Batch, SliceShape

TITLE = "AnoVAEGAN"
CITE = ["baur2018", "gulrajani2017"]
LOOK = "adversarial"
CAPABILITIES = {"reconstruct", "elbo", "sample", "embed"}
PARTS = {"encoder", "decoder", "critic"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "kl_weight": 1.0,
    "penalty_weight": 10.0,
    "critic_steps": 5,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "dropout": "0..<1",
    "kl_weight": "0..",
    "penalty_weight": "0..",
    "critic_steps": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}


class Model(VAE):
    """A VAE and a critic."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified",
        penalty_weight: float = 10.0,
        critic_steps: int = 5,
        **settings: Any,
    ):
        super().__init__(shape, network=network, **settings)
        self.penalty_weight, self.critic_steps = penalty_weight, critic_steps
        self.critic = networks.load(network).make_critic(shape.targets, shape.size)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        vae = [*self.encoder.parameters(), *self.decoder.parameters()]
        parts = {
            "vae": vae,
            "generator": self.decoder.parameters(),
            "critic": self.critic.parameters(),
        }
        return {name: adversarial_adam(part, self.learning_rate) for name, part in parts.items()}

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        losses = self.losses(batch)
        update("vae", losses["loss"])
        with torch.no_grad():
            code = draw(*self.encode(batch.slices))
            expected = self.decoder(code)
        judged = critic_losses(self.critic, batch.targets, expected, self.penalty_weight)
        update("critic", judged["critic"])
        if (update.step + 1) % self.critic_steps == 0:
            update("generator", -self.critic(self.decoder(code)).mean())
        return losses | judged
