"""One training loop for all models: phases, early stopping, exact resume, mixed precision."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from normscan.compute.devices import choose_precision, seeded
from normscan.errors import ConfigError
from normscan.files import value_digest
from normscan.models.base import Estimator, NeuralModel
from normscan.slices.store import SliceStore
from normscan.training.checkpoint import load_checkpoint, save_checkpoint
from normscan.training.run import Run

LOG = logging.getLogger("normscan")


def train(
    model: NeuralModel | Estimator,
    store: SliceStore,
    validation: SliceStore,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    batch_size: int = 64,
    max_epochs: int = 1000,
    patience: int = 5,
    precision: str = "float32",
    checkpoint_seconds: float = 600,
    checkpoint_steps: int | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> list[dict[str, Any]]:
    """Train a model in place; it is left with its best weights, in ``eval`` mode.

    A training that was killed goes on from its last checkpoint when it is called again with the
    same arguments, and ends with bit-identical weights (same device and number of threads).

    Parameters
    ----------
    model : freshly built.
    store, validation : training slices, and the held-out ones that early stopping goes by.
    seed : of the order of slices and of all random numbers.
    checkpoint : folder for checkpoints, keyed by what determines the training; None: none.
    batch_size, max_epochs, patience : a phase may have its own (:meth:`NeuralModel.limits`).
    precision : ``auto``, ``float32``, ``bfloat16`` or ``float16``.
    checkpoint_seconds, checkpoint_steps : also save inside epochs this often; a checkpoint is
        always saved after an epoch.
    augment : changes a training batch on the device; random numbers from torch's global generators.

    Returns
    -------
    history : one dictionary per epoch: phase, epoch (from 1, in its phase), best, validation (None
        without), and the means of the training losses.

    Raises
    ------
    TrainingError : a loss became NaN or infinite; the last good checkpoint is kept.
    """
    device = torch.device(device)
    for name, value in {"batch_size": batch_size, "max_epochs": max_epochs}.items():
        if value < 1:
            raise ConfigError(f"{name}: found {value}; must be at least 1")
    arguments = [seed, batch_size, max_epochs, patience, precision, len(store), len(validation)]
    if isinstance(model, NeuralModel):
        arguments += [model.limits(phase) for phase in model.phases]
    if isinstance(model, Estimator):
        return _fit(model, store, seed, device, checkpoint, _identity(model, {}, arguments))
    run = Run(
        model,
        store,
        validation,
        seed=seed,
        device=device,
        batch_size=batch_size,
        max_epochs=max_epochs,
        patience=patience,
        precision=choose_precision(precision, device),
        augment=augment,
    )
    identity = _identity(model, model.state_dict(), arguments)
    run.save_with(checkpoint, identity, checkpoint_seconds, checkpoint_steps)
    stored = load_checkpoint(checkpoint, identity) if checkpoint else None
    if stored is not None:
        run.load_state(*stored)
        LOG.info("going on after epoch %d of phase '%s'", run.epoch, run.phase)
    with seeded(seed, device):
        return run.train()


def _fit(
    model: Estimator,
    store: SliceStore,
    seed: int,
    device: torch.device,
    folder: Path | None,
    identity: str,
) -> list[dict[str, Any]]:
    """Fit an estimator; its only checkpoint is the fitted state."""
    model.to(device)
    stored = load_checkpoint(folder, identity) if folder else None
    if stored is not None:
        model.load_state(stored[0])
        return stored[1]["history"]
    facts = model.fit(store, torch.Generator().manual_seed(seed)) or {}
    history = [{"phase": "fit", "epoch": 1, "best": True, "validation": None, **facts}]
    if folder:
        save_checkpoint(folder, 1, model.state(), {"history": history}, identity)
    return history


def _identity(model: Any, weights: dict[str, Tensor], arguments: list[Any]) -> str:
    """Digest of what a checkpoint must fit: the architecture and the training's arguments."""
    shapes = {name: list(value.shape) for name, value in weights.items()}
    return value_digest([type(model).__module__, type(model).__qualname__, shapes, arguments])
