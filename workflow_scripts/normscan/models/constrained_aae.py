"""Constrained adversarial AE: codes are normally distributed, and those of reconstructions agree.

Source: Chen and Konukoglu 2018, reference [5] of Baur et al. 2021, III-B: the constrained AE, whose
codes a critic compares with samples of N(0, 1). Every batch is a step of the AE, ``critic_steps``
of the critic (Wasserstein with gradient penalty, weight 10; layers of 400 and 200, as in the code
published with the study) and one of the encoder, towards codes that the critic takes for samples.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normscan.models.base import Updates
from normscan.models.constrained_ae import Model as ConstrainedAE
from normscan.models.parts.adversarial import adversarial_adam, critic_losses
from normscan.networks.layers import initialise
from normscan.slices.batch import Batch, SliceShape

TITLE = "constrained adversarial autoencoder"
CITE = ["chen2018", "gulrajani2017"]
LOOK = "constrained"
CAPABILITIES = {"reconstruct", "embed"}
PARTS = {"encoder", "decoder"}
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "code_weight": 1.0,
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
    "code_weight": "0..",
    "penalty_weight": "0..",
    "critic_steps": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "code_weight": "weight of the squared distance between the codes of a slice and of its "
    "reconstruction",
    "critic_steps": "steps of the critic for every batch",
}
# The codes must be vectors.
NEEDS_DENSE = True
WIDTHS = (400, 200)
SLOPE = 0.2


class CodeCritic(nn.Module):
    """Codes (n, latent) -> one number each (n,)."""

    def __init__(self, latent: int):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip((latent, *WIDTHS), WIDTHS):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Linear(WIDTHS[-1], 1))
        self.apply(initialise)

    def forward(self, code: Tensor) -> Tensor:
        return self.layers(code).squeeze(1)


class Model(ConstrainedAE):
    """A constrained AE and a critic of its codes, which are dense."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        latent: int = 128,
        penalty_weight: float = 10.0,
        critic_steps: int = 5,
        **settings: Any,
    ):
        super().__init__(shape, latent=latent, **settings)
        self.penalty_weight, self.critic_steps = penalty_weight, critic_steps
        self.critic = CodeCritic(latent)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        parts = {
            "ae": [*self.encoder.parameters(), *self.decoder.parameters()],
            "encoder": self.encoder.parameters(),
            "critic": self.critic.parameters(),
        }
        return {name: adversarial_adam(part, self.learning_rate) for name, part in parts.items()}

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        losses = self.losses(batch)
        update("ae", losses["loss"])
        code = self.encoder(batch.slices)[0]
        for _ in range(self.critic_steps):
            drawn = torch.randn_like(code)
            judged = critic_losses(self.critic, drawn, code, self.penalty_weight)
            update("critic", judged["critic"])
        update("encoder", -self.critic(code).mean())
        return losses | judged
