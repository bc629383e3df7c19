"""Slices in memory, and models of the kinds that the interface must carry."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from normscan.compute.devices import seeded
from normscan.models.base import BaseModel, adam, l1_error
from normscan.slices.batch import Batch, SliceShape, View


class MadeStore:
    """Smooth made slices with the interface of a SliceStore."""

    def __init__(self, count=20, size=16, contrasts=("FLAIR",), seed=0):
        random = np.random.default_rng(seed)
        x, y = np.mgrid[:size, :size] / size - 0.5
        radius = random.uniform(0.2, 0.45, (count, 1, 1, 1))
        level = random.uniform(0.4, 1.0, (count, len(contrasts), 1, 1))
        self.slices = (level * (x**2 + y**2 < radius**2)).astype(np.float32)
        self.contrasts, self.size, self.fingerprint = list(contrasts), size, {"made": True}
        self.nbytes, self.read = self.slices.nbytes, 0
        self.view = View.of(self.contrasts)

    def __len__(self):
        return len(self.slices)

    def batch(self, numbers):
        self.read += 1
        return Batch.of(self.slices[numbers])

    def batches(self, size):
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))


class Interrupted(Exception):
    """Stands for the end of a job."""


class BreakingStore(MadeStore):
    """A store whose job dies when a batch is asked for the n-th time."""

    def __init__(self, *arguments, dies_at: int, **options):
        super().__init__(*arguments, **options)
        self.dies_at = dies_at

    def batch(self, numbers):
        if self.read == self.dies_at:
            raise Interrupted
        return super().batch(numbers)


class Adversarial(BaseModel):
    """f-AnoGAN in small: a WGAN with gradient penalty, then an encoder for the frozen generator."""

    phases = ("gan", "encoder")

    def __init__(self, contrasts, size, learning_rate=1e-3, critic_steps=3):
        super().__init__(SliceShape(contrasts, contrasts, size))
        pixels = contrasts * size**2
        shape = (contrasts, size, size)
        self.learning_rate, self.critic_steps = learning_rate, critic_steps
        self.generator = nn.Sequential(
            nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, pixels)
        )
        self.generator.append(nn.Unflatten(1, shape))
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 16), nn.LeakyReLU(0.2))
        self.score = nn.Linear(16, 1)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 4), nn.Dropout(0.1))
        self.register_buffer("average", torch.zeros(shape))
        self.register_buffer("finished", torch.zeros(()))

    def optimisers(self, phase):
        if phase == "encoder":
            return {"encoder": adam(self.encoder.parameters(), self.learning_rate, (0.5, 0.9))}
        critic = [*self.critic.parameters(), *self.score.parameters()]
        return {
            "critic": adam(critic, self.learning_rate, (0.5, 0.9)),
            "generator": adam(self.generator.parameters(), self.learning_rate, (0.5, 0.9)),
        }

    def schedulers(self, phase, optimisers):
        steps = torch.optim.lr_scheduler.StepLR
        return {name: steps(one, 2, gamma=0.5) for name, one in optimisers.items()}

    def limits(self, phase):
        return {"max_steps": 10} if phase == "gan" else {}

    def start_phase(self, phase, batches):
        self.average = torch.cat([batch.slices for batch in batches()]).mean(dim=0)

    def finish_phase(self, phase, batches):
        self.finished += 1

    def training_mode(self, phase):
        self.train()
        if phase == "encoder":
            self.generator.eval()
            self.critic.eval()

    def training_step(self, phase, batch, update):
        batch = batch.slices
        if phase == "encoder":
            return self.encoder_step(batch, update)
        fake = self.generator(torch.randn(len(batch), 4, device=batch.device))
        penalty = self.gradient_penalty(batch, fake.detach())
        distance = self.judge(fake.detach()).mean() - self.judge(batch).mean()
        update("critic", distance + 10 * penalty)
        losses = {"critic": distance, "penalty": penalty}
        if update.step % self.critic_steps == self.critic_steps - 1:
            update("generator", -self.judge(fake).mean())
        return losses

    def encoder_step(self, batch, update):
        found = self.reconstruct(batch)
        features = (self.critic(batch) - self.critic(found)).square().mean()
        error = functional.l1_loss(found, batch)
        update("encoder", error + features)
        return {"loss": error + features, "reconstruction": error}

    def judge(self, batch):
        return self.score(self.critic(batch))

    def gradient_penalty(self, real, fake):
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        mixed = (share * real + (1 - share) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(self.judge(mixed).sum(), mixed, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()

    def validation_loss(self, phase, batch):
        return None if phase == "gan" else l1_error(self, batch)

    def reconstruct(self, slices):
        return self.generator(self.encoder(slices)) + 0 * self.average


class MeanSlice(BaseModel):
    """Remembers the mean of half of all slices, and how many those are: it is fitted at once."""

    FITTED = frozenset({"chosen"})

    def __init__(self, contrasts, size):
        super().__init__(SliceShape(contrasts, contrasts, size))
        self.register_buffer("mean", torch.zeros(contrasts, size, size))
        self.register_buffer("chosen", torch.zeros(0, dtype=torch.int64))

    def limits(self, phase):
        return {"max_epochs": 0}

    def finish_phase(self, phase, batches):
        slices = torch.cat([batch.slices for batch in batches()])
        self.chosen = torch.randperm(len(slices))[: len(slices) // 2]
        self.mean = slices[self.chosen].mean(0)
        return {"spread": float(slices[self.chosen].std())}

    def reconstruct(self, slices):
        return self.mean.expand_as(slices)


def build_adversarial(contrasts, size, seed=0, **settings):
    """The toy GAN."""
    with seeded(seed):
        return Adversarial(contrasts, size, **settings)


def build_estimator(contrasts, size, seed=0, **settings):
    """The toy that is fitted."""
    return MeanSlice(contrasts, size)
