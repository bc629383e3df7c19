"""Diffusion model: noise is put on a slice up to a time and taken away; lesions go with the noise.

Source: AnoDDPM (Wyatt et al. 2022): simplex noise and partial diffusion. pDDPM (Behrendt et al.
2023): ``patch``: noise in one patch of a grid at a time, the rest of the slice to see by; and its
values, which are the defaults: the clean image is predicted, L1, 1000 times, cosine schedule,
reconstructed from time 500 at once. cDDPM (Behrendt et al. 2025): ``condition``: the network is
also given a code of the clean slice; the mean of reconstructions from 250, 500 and 750. AnoDDPM's
own: ``predicts: noise`` (L2), ``schedule: linear``, ``starts: [250]``, ``denoising_steps: 250``.

As in their code intensities of about [0, 1] are scaled to [-1, 1]. The sampler is DDIM's without
noise: AnoDDPM's draws more at every step. Assumed: the number of training steps (theirs are 1,600
epochs), no moving average of weights, batches of 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from normscan.compute.devices import channels_last
from normscan.errors import ConfigError
from normscan.models.base import BaseModel, adam
from normscan.models.parts.diffusing import Diffusion, patch_masks
from normscan.models.parts.simplex import SimplexNoise
from normscan.networks import registry as networks
from normscan.networks.foreground import inside
from normscan.slices.batch import Batch, SliceShape

TITLE = "diffusion model"
CITE = {
    "wyatt2022": "Wyatt J, Leach A, Schmon SM, Willcocks CG. AnoDDPM: anomaly detection with "
    "denoising diffusion probabilistic models using simplex noise. IEEE/CVF Conference on Computer "
    "Vision and Pattern Recognition Workshops 2022:650-656. "
    "https://doi.org/10.1109/CVPRW56347.2022.00080",
    "behrendt2023": "Behrendt F, Bhattacharya D, Krüger J, Opfer R, Schlaefer A. Patched diffusion "
    "models for unsupervised anomaly detection in brain MRI. Medical Imaging with Deep Learning "
    "2023, PMLR 227, 2024:1019-1032. https://proceedings.mlr.press/v227/behrendt24a.html",
    "behrendt2025": "Behrendt F, Bhattacharya D, Mieling R, et al. Guided reconstruction with "
    "conditioned diffusion models for unsupervised anomaly detection in brain MRIs. Computers in "
    "Biology and Medicine 186, 2025. https://doi.org/10.1016/j.compbiomed.2025.109660",
}
LOOK = "diffusion"
COST = 90.0
CAPABILITIES = {"reconstruct", "sample"}
PARTS = {"denoiser"}
SETTINGS: dict[str, Any] = {
    "network": "monai_diffusion",
    "width": 128,
    "depth": 2,
    "blocks": 3,
    "attention": True,
    "noise": "simplex",
    "largest": 64.0,
    "times": 1000,
    "schedule": "cosine",
    "predicts": "image",
    "starts": [500],
    "denoising_steps": 1,
    "patch": None,
    "condition": False,
    "code": 128,
    "steps": 20000,
    "learning_rate": 1e-4,
    "batch_size": 32,
    "precision": "auto",
}
SIDE = "multiple of patch"
ALLOWED = {
    "width": "1..",
    "depth": "1..",
    "blocks": "1..",
    "noise": ["simplex", "gaussian"],
    "largest": "1..256",
    "times": "whole 1..",
    "schedule": ["linear", "cosine"],
    "predicts": ["image", "noise"],
    "starts": "each whole 1..",
    "denoising_steps": "whole 1..",
    "patch": "whole 1..",
    "code": "1..",
    "steps": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
TOGETHER = {
    "max(starts) <= times": "no start may be later than the last time",
}
MEANING = {
    "width": "feature maps at full size",
    "blocks": "residual blocks at every size",
    "attention": "whether the coarsest maps have self-attention",
    "noise": "simplex: coarse, in octaves; gaussian: of single pixels",
    "largest": "coarsest structure of simplex noise [pixels]",
    "times": "how often noise is put on in all",
    "schedule": "how the noise grows with time",
    "predicts": "what the network gives: the clean slice, or the noise",
    "starts": "times from which slices are reconstructed; the mean of several",
    "denoising_steps": "from there to the clean slice; 1: at once",
    "patch": "side of the patch that noise is put on, one at a time; null: noise everywhere "
    "[pixels]",
    "condition": "whether the network is also given a code of the slice",
    "code": "numbers of that code",
    "steps": "that are trained [batches]",
}
# For tests of all families.
CHECKED_WITH = {
    "width": 8,
    "depth": 1,
    "blocks": 1,
    "attention": False,
    "largest": 8.0,
    "times": 100,
    "starts": [50],
    "steps": 100,
    "learning_rate": 5e-3,
}
IMAGE, SIMPLEX = "image", "simplex"
# Of the noise that all slices are reconstructed from: results must not depend on batches.
SEED = 0


class Model(BaseModel):
    """A denoising network and the noise that it knows; arguments are ``SETTINGS``.

    Raises
    ------
    ConfigError : ``starts`` later than there are times; slices that patches do not fill.
    """

    def __init__(
        self,
        shape: SliceShape,
        *,
        network: str,
        width: int,
        depth: int,
        blocks: int,
        attention: bool,
        noise: str,
        largest: float,
        times: int,
        schedule: str,
        predicts: str,
        starts: Sequence[int],
        denoising_steps: int,
        patch: int | None,
        condition: bool,
        code: int,
        steps: int,
        learning_rate: float,
    ):
        super().__init__(shape)
        if not starts or max(starts) > times:
            raise ConfigError(f"starts: found {list(starts)}; must be times from 1 to {times}")
        if patch is not None and shape.size % patch:
            raise ConfigError(
                f"patch: found {patch}; slices of {shape.size} pixels a side are no multiple of it"
            )
        self.network = networks.load(network).make_denoiser(
            shape.targets,
            shape.size,
            width=width,
            depth=depth,
            blocks=blocks,
            attention=attention,
            code=code if condition else None,
        )
        self.diffusion = Diffusion(times, schedule)
        self.simplex = SimplexNoise(shape.size, largest) if noise == SIMPLEX else None
        self.condition, self.predicts, self.patch = condition, predicts, patch
        self.starts, self.denoising_steps = list(starts), denoising_steps
        self.steps, self.learning_rate = steps, learning_rate

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.trainable(), self.learning_rate)}

    def limits(self, phase: str) -> dict[str, int]:
        """All steps are taken: no epoch is too many epochs after the best one."""
        return {"max_steps": self.steps, "patience": self.steps}

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Error of what is predicted at random times, where there is noise."""
        return {"loss": self._errors(batch).mean()}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """The same error of each slice (n,), at random times."""
        return self._errors(batch)

    def _errors(self, batch: Batch[Tensor]) -> Tensor:
        clean = 2 * batch.targets - 1
        count, device = len(clean), clean.device
        time = torch.randint(1, self.diffusion.times + 1, (count,), device=device)
        noise, where = self._noise(clean, None), self._where(clean)
        noisy = self.diffusion.noisy(clean, noise, time)
        if where is not None:
            noisy = torch.where(where, noisy, clean)
        code = self.network.encode(clean) if self.condition else None
        predicted = self.network(channels_last(noisy), time, code)
        if self.predicts == IMAGE:
            error = (predicted - clean).abs()
        else:
            error = (predicted - noise).square()
        if where is None or self.patch is None:
            return error.flatten(1).mean(dim=1)
        return (error * where).flatten(1).sum(dim=1) / (self.patch**2 * clean.shape[1])

    def _where(self, clean: Tensor) -> Tensor | None:
        """A random patch of each slice (n, 1, size, size); None: noise is everywhere."""
        if self.patch is None:
            return None
        masks = patch_masks(self.shape.size, self.patch, clean.device)
        drawn = torch.randint(len(masks), (len(clean),), device=clean.device)
        return masks[drawn][:, None]

    def _noise(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Noise of unit variance, like slices (n, channels, size, size)."""
        # Half precision would make steps of smooth noise.
        with torch.autocast(like.device.type, enabled=False):
            if self.simplex is not None:
                return self.simplex.draw(len(like), like.shape[1], generator)
            return torch.randn(like.shape, generator=generator, device=like.device)

    def encode(self, slices: Tensor) -> Any:
        """The slices, and their codes where the network is given some."""
        return (slices, self.network.encode(2 * slices - 1)) if self.condition else slices

    def decode_sample(self, code: Any, generator: torch.Generator) -> Tensor:
        """The reconstruction from noise of each slice's own."""
        slices, given = code if self.condition else (code, None)
        return self._reconstructed(slices, given, lambda: self._noise(slices, generator))

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Targets (n, targets, size, size), from noise that is the same for all slices."""
        generator = torch.Generator(slices.device).manual_seed(SEED)
        given = self.network.encode(2 * slices - 1) if self.condition else None
        return self._reconstructed(
            slices, given, lambda: self._noise(slices[:1], generator).expand_as(slices)
        )

    def _reconstructed(self, slices: Tensor, code: Tensor | None, draw: Any) -> Tensor:
        """Mean over the starts; 0 in the background."""
        clean = 2 * slices - 1
        made = [self._from(start, clean, code, draw()) for start in self.starts]
        return (torch.stack(made).mean(dim=0) + 1) / 2 * inside(slices)[:, None]

    def _from(self, start: int, clean: Tensor, code: Tensor | None, noise: Tensor) -> Tensor:
        """Slices (n, targets, size, size) in [-1, 1] as they are expected from one time on."""
        time = torch.full((len(clean),), start, device=clean.device)
        noisy = self.diffusion.noisy(clean, noise, time)
        if self.patch is None:
            return self._denoised(noisy, start, code)
        # One patch of all slices after the other: memory does not grow with their number.
        made = torch.zeros_like(clean)
        for mask in patch_masks(self.shape.size, self.patch, clean.device):
            seen = torch.where(mask, noisy, clean)
            made = torch.where(mask, self._denoised(seen, start, code, mask), made)
        return made

    def _denoised(
        self, noisy: Tensor, start: int, code: Tensor | None, within: Tensor | None = None
    ) -> Tensor:
        def clean_at(images: Tensor, time: Tensor) -> Tensor:
            predicted = self.network(channels_last(images), time, code)
            if self.predicts == IMAGE:
                return predicted
            return self.diffusion.clean_of(images, predicted, time)

        return self.diffusion.denoise(clean_at, noisy, start, self.denoising_steps, within)
