"""AnoGAN: a GAN of healthy slices, whose codes are searched for at test time.

Source: Schlegl et al. 2017, sections 2.1 and 3 (reference [87] of the thesis of Baur 2021, section
3.3.1), with the deep convolutional GAN of Radford et al. 2016: batch norm in generator and
discriminator, Adam with a rate of 2e-4 and betas (0.5, 0.999), codes drawn uniformly from [-1, 1].
A step of the discriminator and a step of the generator take turns, with losses of Goodfellow et al.
2014, the generator's in the form that does not saturate. There is no encoder: the code of a slice
is found by ``latent_search``.

Not given in the papers: a stopping rule for GANs. The first trained 20 epochs of a million patches;
here it is ``gan_steps`` batches, as many as f-AnoGAN has, on few training subjects as many as on
all. ``real_label`` below 1 smooths the discriminator's labels of real slices (Salimans et al.
2016); neither paper does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from normscan.models.base import BaseModel, Updates, adam
from normscan.models.parts.adversarial import discriminator_loss, generator_loss
from normscan.models.parts.generating import Generating
from normscan.networks import registry as networks
from normscan.slices.batch import Batch, SliceShape

TITLE = "AnoGAN"
CITE = ["schlegl2017", "radford2016"]
LOOK = "adversarial"
CAPABILITIES = {"generate", "discriminate"}
PARTS = {"decoder", "discriminator"}
SETTINGS = {
    "network": "unified",
    "latent": 128,
    "real_label": 1.0,
    "gan_steps": 20000,
    "learning_rate": 2e-4,
    "batch_size": 64,
    "precision": "auto",
}
ALLOWED = {
    "latent": "1..",
    "real_label": ">0..1",
    "gan_steps": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "real_label": "what the discriminator is told of real slices",
}
# Radford et al. 2016, section 4.
BETAS = (0.5, 0.999)


class Model(Generating, BaseModel):
    """Generator (the decoder) and discriminator.

    Parameters
    ----------
    network : one with a decoder and a discriminator.
    latent : length of a code.
    real_label : what the discriminator is told of real slices.
    gan_steps : batches that are trained on.
    """

    phases = ("gan",)

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "unified",
        latent: int = 128,
        real_label: float = 1.0,
        gan_steps: int = 20000,
        learning_rate: float = 2e-4,
    ):
        super().__init__(shape)
        self.latent, self.real_label = latent, real_label
        self.gan_steps, self.learning_rate = gan_steps, learning_rate
        module = networks.load(network)
        # A network's dropout is for codes of slices; here they are draws from the prior.
        dropping = {"dropout": 0.0} if networks.dropout_rate(network, "dense") else {}
        self.decoder = module.make_decoder(shape.targets, shape.size, latent, "dense", **dropping)
        self.critic = module.make_discriminator(shape.targets, shape.size)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        parts = {"discriminator": self.critic, "generator": self.decoder}
        return {n: adam(p.parameters(), self.learning_rate, BETAS) for n, p in parts.items()}

    def limits(self, phase: str) -> dict[str, int]:
        return {"max_steps": self.gan_steps}

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        fake = self.decoder(_uniform(len(batch), self.latent, batch.slices.device))
        judged = discriminator_loss(self.critic, batch.targets, fake, self.real_label)
        update("discriminator", judged)
        made = generator_loss(self.critic, fake)
        update("generator", made)
        return {"discriminator": judged, "generator": made}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """None: there is nothing that says when a GAN is good enough."""
        return None

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes (count, latent), uniform in [-1, 1]."""
        return _uniform(count, self.latent, generator.device, generator)


def _uniform(
    count: int, latent: int, device: torch.device, generator: torch.Generator | None = None
) -> Tensor:
    return 2 * torch.rand(count, latent, generator=generator, device=device) - 1
