"""One training loop for all models: streams, phases, early stopping, exact resume, precision."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from normscan.compute.devices import choose_precision, seeded
from normscan.errors import ConfigError
from normscan.files import value_digest
from normscan.models.base import BaseModel, fitted_names
from normscan.slices.store import SliceStore
from normscan.training.checkpoint import load_checkpoint
from normscan.training.run import Augment, Run

LOG = logging.getLogger("normscan")


def train(
    model: BaseModel,
    store: SliceStore,
    validation: SliceStore,
    *,
    others: Mapping[str, SliceStore] | None = None,
    seed: int,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    batch_size: int = 64,
    max_epochs: int = 1000,
    patience: int = 5,
    precision: str = "float32",
    checkpoint_seconds: float = 600,
    checkpoint_steps: int | None = None,
    augment: Augment | None = None,
) -> list[dict[str, Any]]:
    """Train a model in place; it is left with its best weights, in ``eval`` mode.

    A training that was killed goes on from its last checkpoint when it is called again with the
    same arguments, and ends with bit-identical weights (same device and number of threads).

    Parameters
    ----------
    model : freshly built.
    store, validation : training slices of the main stream, and the held-out ones that early
        stopping goes by.
    others : training slices of further streams; a batch brings as many of each as of the main one.
    seed : of the order of slices and of all random numbers.
    checkpoint : folder for checkpoints, keyed by what determines the training; None: none.
    batch_size, max_epochs, patience : a phase may have its own (:meth:`BaseModel.limits`).
    precision : ``auto``, ``float32``, ``bfloat16`` or ``float16``.
    checkpoint_seconds, checkpoint_steps : also save inside epochs this often; a checkpoint is
        always saved after an epoch.
    augment : changes a batch of the main stream, as arrays, given the numbers of its slices, and
        seed, phase and epoch, from which its random numbers must follow alone: it runs beside the
        training. None: nothing is changed. Validation slices never are.

    Returns
    -------
    history : one dictionary per epoch: phase, epoch (from 1, in its phase), best, validation (None
        without), and the means of the training losses. A phase that only fits has one row, with the
        numbers it gives.

    Raises
    ------
    TrainingError : a loss became NaN or infinite; the last good checkpoint is kept.
    """
    device = torch.device(device)
    for name, value in {"batch_size": batch_size, "max_epochs": max_epochs}.items():
        if value < 1:
            raise ConfigError(f"{name}: found {value}; must be at least 1")
    arguments: list[Any] = [
        seed,
        batch_size,
        max_epochs,
        patience,
        precision,
        len(store),
        len(validation),
    ]
    arguments += [model.limits(phase) for phase in model.phases]
    arguments += [{name: len(other) for name, other in (others or {}).items()}]
    run = Run(
        model,
        store,
        validation,
        others or {},
        seed=seed,
        device=device,
        batch_size=batch_size,
        max_epochs=max_epochs,
        patience=patience,
        precision=choose_precision(precision, device),
        augment=augment,
    )
    identity = _identity(model, arguments)
    run.save_with(checkpoint, identity, checkpoint_seconds, checkpoint_steps)
    stored = load_checkpoint(checkpoint, identity) if checkpoint else None
    if stored is not None:
        run.load_state(*stored)
        LOG.info("going on after epoch %d of phase '%s'", run.epoch, run.phase)
    with seeded(seed, device):
        return run.train()


def _identity(model: BaseModel, arguments: list[Any]) -> str:
    """Digest of what a checkpoint must fit: the architecture and the training's arguments."""
    fitted = fitted_names(model)
    shapes = {
        name: None if name in fitted else list(value.shape)
        for name, value in model.state_dict().items()
    }
    return value_digest([type(model).__module__, type(model).__qualname__, shapes, arguments])
