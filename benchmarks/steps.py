"""Training steps as the training loop makes them, on random slices."""

from __future__ import annotations

import torch
from common import ROOT  # noqa: F401  (finds the library)

from normscan.compute.devices import autocast
from normscan.models import registry
from normscan.models.base import Updates
from normscan.slices.batch import Batch


def training_step(model, batch: Batch, update: Updates, precision: str = "float32"):
    """One step as in the training loop."""
    with autocast(precision, batch.slices.device):
        return model.training_step("main", batch, update)


def prepared(size: int, batch_size: int, device, memory_format, family: str = "vae", **settings):
    """A model, its optimisers and a batch with random labels in the layers that it reads."""
    model = registry.build(family, (1, 1, size), **settings)
    model = model.to(device, memory_format=memory_format).train()
    batch = torch.rand(batch_size, 1, size, size, device=device)
    layers = {
        name: torch.randint(0, 4, (batch_size, size, size), dtype=torch.int16, device=device)
        for name in registry.describe(family)["layers"]
    }
    batch = Batch.of(batch.contiguous(memory_format=memory_format), layers=layers)
    return model, batch, Updates(model.optimisers("main"))
