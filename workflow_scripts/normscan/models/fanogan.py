"""f-AnoGAN. Source: Schlegl et al. 2019, reference [17] of Baur et al. 2021, III-B.

Phase ``gan``: a Wasserstein GAN with gradient penalty (weight 10) learns to draw healthy slices
from codes z ~ N(0, 1). Every batch is one step of the critic, every fifth also one of the
generator. Phase ``encoder``: with both frozen, an encoder learns to find the code of a slice; its
loss is the squared error of image and of critic features, each a mean over its dimensions, with
``feature_weight`` (kappa) 1 ("izi_f" of the paper). Early stopping goes by the reconstruction
error, and so concerns the second phase; the first takes ``gan_steps`` batches, on few training
subjects as many as on all (not given in the study: 20,000 are some 85 epochs of its 110 subjects).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.models.base import Updates
from normscan.models.parts.adversarial import adversarial_adam, critic_losses
from normscan.models.parts.coding import CodingModel
from normscan.models.parts.generating import Generating
from normscan.networks import registry as networks
from normscan.slices.batch import Batch, SliceShape

TITLE = "f-AnoGAN"
CITE = ["schlegl2019", "gulrajani2017"]
LOOK = "adversarial"
CAPABILITIES = {"reconstruct", "embed", "generate", "encode", "discriminate"}
PARTS = {"encoder", "decoder", "critic"}
NEEDS_DENSE = True
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "dropout": None,
    "penalty_weight": 10.0,
    "critic_steps": 5,
    "feature_weight": 1.0,
    "gan_steps": 20000,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "dropout": "0..<1",
    "penalty_weight": "0..",
    "critic_steps": "1..",
    "feature_weight": "0..",
    "gan_steps": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}


class Model(Generating, CodingModel):
    """Generator (the decoder) and critic, then an encoder."""

    phases = ("gan", "encoder")

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified",
        latent: int = 128,
        penalty_weight: float = 10.0,
        critic_steps: int = 5,
        feature_weight: float = 1.0,
        gan_steps: int = 20000,
        **settings: Any,
    ):
        super().__init__(shape, network=network, latent=latent, **settings)
        if gan_steps < 1:
            raise ConfigError(f"gan_steps: found {gan_steps}; must be at least 1")
        self.latent, self.gan_steps = latent, gan_steps
        self.penalty_weight, self.critic_steps = penalty_weight, critic_steps
        self.feature_weight = feature_weight
        self.critic = networks.load(network).make_critic(shape.targets, shape.size)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        parts = {"critic": self.critic, "generator": self.decoder}
        if phase == "encoder":
            parts = {"encoder": self.encoder}
        rate = self.learning_rate
        return {name: adversarial_adam(part.parameters(), rate) for name, part in parts.items()}

    def limits(self, phase: str) -> dict[str, int]:
        return {"max_steps": self.gan_steps} if phase == "gan" else {}

    def training_mode(self, phase: str) -> None:
        self.eval()
        for part in (self.critic, self.decoder) if phase == "gan" else (self.encoder,):
            part.train()
        # The network's dropout is for codes of slices; z of the GAN is a draw from N(0, 1).
        for module in self.decoder.modules():
            if isinstance(module, nn.Dropout):
                module.train(phase == "encoder")

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        if phase == "gan":
            return self._gan_step(batch, update)
        losses = self.losses(batch)
        update("encoder", losses["loss"])
        return losses

    def _gan_step(self, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self._draw(batch)
        losses = critic_losses(self.critic, batch.targets, fake, self.penalty_weight)
        update("critic", losses["critic"])
        if (update.step + 1) % self.critic_steps == 0:
            update("generator", -self.critic(self._draw(batch)).mean())
        return losses

    def _draw(self, batch: Batch[Tensor]) -> Tensor:
        """As many generated slices as there are in a batch."""
        return self.decoder(torch.randn(len(batch), self.latent, device=batch.slices.device))

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes (count, latent) from N(0, 1)."""
        return torch.randn(count, self.latent, generator=generator, device=generator.device)

    def infer_codes(self, slices: Tensor) -> Tensor:
        """Codes (n, latent) that the encoder finds."""
        return self.encoder(slices)[0]

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        expected, targets = self.reconstruct(batch.slices), batch.targets
        image = (targets - expected).square().mean()
        features = self.critic.features(targets) - self.critic.features(expected)
        feature = features.float().square().mean()
        return {
            "loss": image + self.feature_weight * feature,
            "reconstruction": (targets - expected).abs().mean(),
            "features": feature,
        }

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """L1 error per pixel (n,); none while there is no encoder."""
        return None if phase == "gan" else super().validation_loss(phase, batch)
