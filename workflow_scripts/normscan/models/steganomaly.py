"""SteGANomaly: a CycleGAN between real and simulated slices that cannot hide anything.

Source: Baur, Graf et al. 2020, "SteGANomaly: Inhibiting CycleGAN steganography for unsupervised
anomaly detection in brain MRI", as summed up in the thesis (Baur 2021, section 3.3.2), with the
losses of Zhu et al. 2017. Healthy slices are mapped to a simulated domain of lower entropy and
back. What a lesion looks like would come back too, since CycleGANs hide what the simulated image
has no room for in faint high frequencies; so the simulated image is low-pass filtered before it is
mapped back, in training and at test time.

Not given in the thesis: the filter (a Gaussian of ``low_pass`` pixels; 1.5 keep 6 % of what has a
period of four pixels and nothing at two), the simulated domain
(:mod:`normscan.models.parts.simulated`), and all values of training (those of Zhu et al., but
batches of 8 slices, and steps in place of epochs). The filter belongs to the mapping back: true
simulated slices go through it as well, so that this mapping sees one kind of image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from normscan.errors import ConfigError
from normscan.models.base import BaseModel, Batches, Updates, adam
from normscan.models.parts.cycle import ImagePool, critic_loss, decayed, least_squares
from normscan.models.parts.simulated import LABELS, other_tissues, simulate, tissue_levels
from normscan.models.parts.smoothing import gaussian_reach, gaussian_taps, smooth
from normscan.networks import registry as networks
from normscan.slices.batch import Batch, SliceShape

TITLE = "SteGANomaly"
CITE = {
    "baurstegan2020": "Baur C, Graf R, Wiestler B, Albarqouni S, Navab N. SteGANomaly: Inhibiting "
    "CycleGAN steganography for unsupervised anomaly detection in brain MRI. Medical Image "
    "Computing and Computer Assisted Intervention, LNCS 12262:718-727, 2020. "
    "https://doi.org/10.1007/978-3-030-59713-9_69"
}
LOOK = "adversarial"
COST = 100.0
CAPABILITIES = {"reconstruct"}
PARTS = {"image_to_image", "patch_critic"}
LAYERS = {"tissue"}
SETTINGS = {
    "network": "cyclegan",
    "depth": 2,
    "width": 64,
    "low_pass": 1.5,
    "variation": 0.05,
    "cycle_weight": 10.0,
    "identity_weight": 0.0,
    "pool_size": 50,
    "gan_steps": 20000,
    "learning_rate": 2e-4,
    "batch_size": 8,
    "precision": "auto",
}
ALLOWED = {
    "depth": "1..",
    "width": "1..",
    "low_pass": "0..",
    "variation": "0..<1",
    "cycle_weight": "0..",
    "identity_weight": "0..",
    "pool_size": "0..",
    "gan_steps": "1..",
    "learning_rate": ">0..",
    "batch_size": "2..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
TOGETHER = {
    "4 * low_pass < size": "its filter is wider than the slices",
}
MEANING = {
    "low_pass": "standard deviation of the filter on simulated slices; 0: none [pixels]",
    "variation": "of a tissue's intensity inside a simulated slice [share]",
    "cycle_weight": "weight of the error after both mappings",
    "identity_weight": "weight of what a mapping changes in slices of its own domain",
    "pool_size": "earlier images that each critic also sees [slices]",
}
# For tests of all families.
CHECKED_WITH = {"depth": 1, "width": 4, "gan_steps": 18, "pool_size": 12}
BETAS = (0.5, 0.999)


class Model(BaseModel):
    """Two generators, a critic of each domain and its pool."""

    levels: Tensor

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str = "cyclegan",
        low_pass: float = 1.5,
        variation: float = 0.05,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.0,
        pool_size: int = 50,
        gan_steps: int = 20000,
        learning_rate: float = 2e-4,
        **settings: int,
    ):
        super().__init__(shape)
        channels, size = shape.inputs, shape.size
        if gaussian_reach(low_pass) >= size:
            raise ConfigError(
                f"low_pass: found {low_pass}; its filter is wider than slices of {size} pixels"
            )
        self.taps = gaussian_taps(low_pass) if low_pass else []
        self.variation, self.gan_steps = variation, gan_steps
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.learning_rate = learning_rate
        module = networks.load(network)
        self.to_simulated = module.make_image_to_image(channels, channels, size, **settings)
        self.to_real = module.make_image_to_image(channels, channels, size, **settings)
        self.simulated_critic = module.make_patch_critic(channels, size)
        self.real_critic = module.make_patch_critic(channels, size)
        self.simulated_pool = ImagePool(pool_size, (channels, size, size))
        self.real_pool = ImagePool(pool_size, (channels, size, size))
        self.register_buffer("levels", torch.zeros(channels, LABELS))

    def reconstruct(self, slices: Tensor) -> Tensor:
        """The whole cycle: real, simulated, filtered, real."""
        return self.back(self.to_simulated(slices))

    def back(self, simulated: Tensor) -> Tensor:
        """Real slices of simulated ones (n, channels, size, size), through the filter."""
        return self.to_real(smooth(simulated, self.taps) if self.taps else simulated)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        parts = {
            "generators": [self.to_simulated, self.to_real],
            "critics": [self.simulated_critic, self.real_critic],
        }
        return {
            name: adam([p for one in both for p in one.parameters()], self.learning_rate, BETAS)
            for name, both in parts.items()
        }

    def limits(self, phase: str) -> dict[str, int]:
        return {"max_steps": self.gan_steps}

    def start_phase(self, phase: str, batches: Batches) -> None:
        self.levels.copy_(tissue_levels(batches()))

    def finish_phase(self, phase: str, batches: Batches) -> dict[str, float] | None:
        for pool in (self.simulated_pool, self.real_pool):
            pool.clear()
        return None

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        """Both generators, then both critics."""
        for optimiser in update.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = decayed(self.learning_rate, update.step, self.gan_steps)
        real = batch.slices
        tissue = other_tissues(batch.layers["tissue"])
        simulated = simulate(tissue, self.levels, self.variation).contiguous(
            memory_format=torch.channels_last
        )
        losses, made = self._generator_losses(real, simulated)
        update("generators", losses["loss"])
        critics = critic_loss(self.simulated_critic, simulated, self.simulated_pool(made[0]))
        critics = critics + critic_loss(self.real_critic, real, self.real_pool(made[1]))
        update("critics", critics)
        return losses | {"critics": critics}

    def _generator_losses(
        self, real: Tensor, simulated: Tensor
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        """Losses, and the slices that were made: simulated and real ones."""
        made_simulated, made_real = self.to_simulated(real), self.back(simulated)
        adversarial = least_squares(self.simulated_critic(made_simulated), True)
        adversarial = adversarial + least_squares(self.real_critic(made_real), True)
        there = (self.back(made_simulated) - real).abs().mean()
        around = (self.to_simulated(made_real) - simulated).abs().mean()
        loss = adversarial + self.cycle_weight * (there + around)
        losses = {"adversarial": adversarial, "cycle": there + around, "reconstruction": there}
        if self.identity_weight:
            same = (self.to_simulated(simulated) - simulated).abs().mean()
            same = same + (self.back(real) - real).abs().mean()
            loss, losses["identity"] = loss + self.identity_weight * same, same
        return {"loss": loss, **losses}, (made_simulated, made_real)

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """None: a cycle's error is least where it hides most, so training does not stop by it."""
        return None
