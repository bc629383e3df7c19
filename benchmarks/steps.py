"""Training steps as the training loop makes them, on random slices."""

from __future__ import annotations

import torch
from common import ROOT  # noqa: F401  (finds the library)

from normscan.compute.devices import autocast
from normscan.models import registry
from normscan.models.base import Updates
from normscan.slices.batch import Batch


def training_step(model, batch: Batch, update: Updates, precision: str = "float32"):
    """One step of the first phase, as in the training loop."""
    with autocast(precision, batch.slices.device):
        return model.training_step(model.phases[0], batch, update)


def prepared(
    size: int,
    batch_size: int,
    device,
    memory_format,
    family: str = "vae",
    contrasts: int = 1,
    **settings,
):
    """A model, its first phase's optimisers, and a batch with random labels in its layers."""
    model = registry.build(family, (contrasts, contrasts, size), **settings)
    model = model.to(device, memory_format=memory_format).train()
    batch = torch.rand(batch_size, contrasts, size, size, device=device)
    layers = {
        name: torch.randint(0, 4, (batch_size, size, size), dtype=torch.int16, device=device)
        for name in registry.describe(family)["layers"]
    }
    batch = Batch.of(batch.contiguous(memory_format=memory_format), layers=layers)
    return model, batch, Updates(model.optimisers(model.phases[0]))
