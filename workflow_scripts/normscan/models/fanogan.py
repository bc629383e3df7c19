"""f-AnoGAN. Source: Schlegl et al. 2019, reference [17] of Baur et al. 2021, III-B.

Phase ``gan``: a Wasserstein GAN with gradient penalty (weight 10) learns to draw healthy slices
from codes z ~ N(0, 1). Every batch is one step of the critic, every fifth also one of the
generator. Phase ``encoder``: with both frozen, an encoder learns to find the code of a slice; its
loss is the squared error of image and of critic features, each a mean over its dimensions, with
``feature_weight`` (kappa) 1 ("izi_f" of the paper). Early stopping goes by the reconstruction
error, and so concerns the second phase; the first takes ``gan_steps`` batches, on few training
subjects as many as on all (not given in the study: 20,000 are some 85 epochs of its 110 subjects).

With a ``resolution`` everything happens on coarser slices, and residuals are interpolated
bicubically to the slices' own pixels, as Kim et al. 2021 (supplement III-D) do from 64 to 128:
there maps of scores, here signed residuals, whose absolute value differs from those where the sign
changes. What is finer than the resolution is then no anomaly: the reconstruction has it from the
slice itself. Not given there: how slices become coarse (means over areas).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from normscan.errors import ConfigError
from normscan.models.base import Updates
from normscan.models.parts.adversarial import adversarial_adam, critic_losses
from normscan.models.parts.coarse import Coarse
from normscan.models.parts.coding import CodingModel
from normscan.models.parts.generating import Generating
from normscan.networks import registry as networks
from normscan.slices.batch import Batch, SliceShape

TITLE = "f-AnoGAN"
CITE = ["schlegl2019", "gulrajani2017"]
LOOK = "adversarial"
CHECKED_WITH = {"gan_steps": 150}
CAPABILITIES = {"reconstruct", "embed", "generate", "encode", "discriminate"}
PARTS = {"encoder", "decoder", "critic"}
NEEDS_DENSE = True
SETTINGS = {
    "network": "unified",
    "bottleneck": "dense",
    "latent": 128,
    "resolution": None,
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
    "resolution": "whole 8..",
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
TOGETHER = {
    "not resolution or resolution <= size": "must not be finer than the slices",
}
MEANING = {
    "resolution": "side of the slices that it is trained on; null: that of the slices [pixels]",
    "feature_weight": "weight of the error of the critic's features; the image's is 1",
    "critic_steps": "steps of the critic for each step of the generator",
}


class Model(Generating, CodingModel):
    """Generator (the decoder) and critic, then an encoder, all of them at ``resolution``."""

    phases = ("gan", "encoder")

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified",
        latent: int = 128,
        resolution: int | None = None,
        penalty_weight: float = 10.0,
        critic_steps: int = 5,
        feature_weight: float = 1.0,
        gan_steps: int = 20000,
        **settings: Any,
    ):
        coarse = Coarse(shape.size, resolution)
        inner = shape._replace(size=coarse.resolution)
        super().__init__(inner, network=network, latent=latent, **settings)
        self.shape, self.coarse = shape, coarse
        if gan_steps < 1:
            raise ConfigError(f"gan_steps: found {gan_steps}; must be at least 1")
        self.latent, self.gan_steps = latent, gan_steps
        self.penalty_weight, self.critic_steps = penalty_weight, critic_steps
        self.feature_weight = feature_weight
        self.critic = networks.load(network).make_critic(inner.targets, inner.size)

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
            return self._gan_step(self.coarse.shrink(batch.targets), update)
        losses = self.losses(batch)
        update("encoder", losses["loss"])
        return losses

    def _gan_step(self, real: Tensor, update: Updates) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self._draw(real)
        losses = critic_losses(self.critic, real, fake, self.penalty_weight)
        update("critic", losses["critic"])
        if (update.step + 1) % self.critic_steps == 0:
            update("generator", -self.critic(self._draw(real)).mean())
        return losses

    def _draw(self, real: Tensor) -> Tensor:
        """As many generated slices as there are real ones, at the same resolution."""
        return self.decoder(torch.randn(len(real), self.latent, device=real.device))

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes (count, latent) from N(0, 1)."""
        return torch.randn(count, self.latent, generator=generator, device=generator.device)

    def infer_codes(self, slices: Tensor) -> Tensor:
        """Codes (n, latent) that the encoder finds."""
        return self.encoder(slices)[0]

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        targets = self.coarse.shrink(batch.targets)
        expected = super().reconstruct(self.coarse.shrink(batch.slices))
        image = (targets - expected).square().mean()
        features = self.critic.features(targets) - self.critic.features(expected)
        feature = features.float().square().mean()
        return {
            "loss": image + self.feature_weight * feature,
            "reconstruction": (targets - expected).abs().mean(),
            "features": feature,
        }

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """L1 error per pixel (n,), at the resolution; none while there is no encoder."""
        if phase == "gan":
            return None
        expected = super().reconstruct(self.coarse.shrink(batch.slices))
        return (self.coarse.shrink(batch.targets) - expected).abs().flatten(1).mean(dim=1)

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Decode the code; details finer than the resolution are those of the slices."""
        coarse = self.coarse.shrink(slices)
        return self.coarse.expected(slices, coarse, super().reconstruct(coarse))

    def embed(self, slices: Tensor) -> Tensor:
        """Features of the encoder's last stage (n, features, rows, columns), before the code."""
        return super().embed(self.coarse.shrink(slices))

    def generate(self, codes: Tensor) -> Tensor:
        """Slices from codes, interpolated from the resolution."""
        return self.coarse.grow(super().generate(codes))

    def discriminator_features(self, slices: Tensor) -> Tensor:
        """Features of the critic's last stage, of slices at the resolution."""
        return super().discriminator_features(self.coarse.shrink(slices))
