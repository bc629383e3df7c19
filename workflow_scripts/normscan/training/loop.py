"""One training loop for all models: phases, early stopping, exact resume, mixed precision."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from normscan.errors import TrainingError
from normscan.models.base import Estimator, NeuralModel
from normscan.networks.devices import to_device
from normscan.progress import duration
from normscan.slices.store import SliceStore, epoch_order
from normscan.training.checkpoint import load_checkpoint, remove_checkpoints, save_checkpoint

LOG = logging.getLogger("normscan")
# Baur et al. 2021, section III-B: "did not improve more than an epsilon > 10e-9 for 5 epochs".
LEAST_IMPROVEMENT = 10e-9
RESIDENT_BYTES = 8 << 30


def train(
    model: NeuralModel | Estimator,
    slices: SliceStore,
    validation: SliceStore,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    batch_size: int,
    max_epochs: int,
    patience: int,
) -> list[dict[str, Any]]:
    """Train a model in place and leave it with its best weights, in evaluation mode.

    Every epoch ends with a checkpoint. A training that is killed goes on from the last one and ends
    with bit-identical weights, since data order and random numbers follow from (seed, epoch) and
    from the stored generator.

    Parameters
    ----------
    slices, validation : healthy slices of other subjects each.
    checkpoint : folder keyed by what determines this training.
    batch_size, max_epochs, patience : epochs without improvement of the validation loss after
        which a phase stops.

    Returns
    -------
    One row per epoch: phase, epoch, training losses, validation loss, best (whether it was).

    Raises
    ------
    TrainingError : the loss became NaN or infinite; the last good checkpoint is kept.
    """
    if isinstance(model, Estimator):
        facts = model.fit(slices, seed=seed, device=device)
        return [{"phase": "fit", "epoch": 1, "best": True, **facts}]
    run = _Training(model, slices, validation, seed, device, checkpoint, batch_size, patience)
    history = run.resume()
    for number, phase in enumerate(model.phases):
        if number >= run.phase_number:
            run.phase(number, phase, max_epochs, history)
    model.eval()
    remove_checkpoints(checkpoint)
    return history


class _Training:
    """State of a training that a checkpoint holds."""

    def __init__(self, model, slices, validation, seed, device, folder, batch_size, patience):
        self.model = model.to(device, memory_format=torch.channels_last)
        self.slices, self.validation = slices, validation
        self.seed, self.device, self.folder = seed, device, folder
        self.batch_size, self.patience = batch_size, patience
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.scaler = torch.amp.GradScaler(enabled=device.type == "cuda")
        self.phase_number = 0
        self.stored: dict[str, Any] | None = None
        self.resident = self._resident()

    def _resident(self) -> torch.Tensor | None:
        """All training slices on the GPU when they fit: no copies during training."""
        size = len(self.slices) * len(self.slices.contrasts) * self.slices.size**2 * 4
        if self.device.type != "cuda" or size > RESIDENT_BYTES:
            return None
        parts = [torch.as_tensor(batch).to(self.device) for batch in self.slices.batches(512)]
        return torch.cat(parts)

    def resume(self) -> list[dict[str, Any]]:
        """Take up the newest checkpoint; the history so far."""
        self.stored = load_checkpoint(self.folder, self.device)
        if self.stored is None:
            return []
        self.phase_number = self.stored["phase"]
        epoch = len(self.stored["history"])
        LOG.info("resuming after epoch %d", epoch)
        return self.stored["history"]

    def phase(self, number: int, phase: str, max_epochs: int, history: list[dict]) -> None:
        """Train one phase until its validation loss stops improving."""
        optimisers = self.model.optimisers(phase)
        best, waited, start = math.inf, 0, 0
        best_weights = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        if self.stored is not None and self.stored["phase"] == number:
            best, waited, start, best_weights = self._restore(optimisers)
        self.stored = None
        began = time.monotonic()
        for epoch in range(start, max_epochs):
            if waited >= self.patience:
                break
            losses = self._epoch(phase, epoch, optimisers)
            value = self._validate(phase)
            self._refuse_divergence(phase, epoch, {**losses, "validation": value})
            better = value < best - LEAST_IMPROVEMENT
            waited = 0 if better else waited + 1
            if better:
                best = value
                best_weights = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            history.append(
                {"phase": phase, "epoch": epoch + 1, **losses, "validation": value, "best": better}
            )
            self._save(number, epoch + 1, history, optimisers, best, waited, best_weights)
            self._log(phase, epoch + 1, max_epochs, losses, value, began, epoch + 1 - start)
        self.model.load_state_dict(best_weights)

    def _epoch(self, phase: str, epoch: int, optimisers) -> dict[str, float]:
        self.model.train()
        order = epoch_order(len(self.slices), self.seed, epoch)
        count = max(1, math.ceil(len(order) / self.batch_size))
        totals: dict[str, torch.Tensor] = {}
        # Batches of nearly equal size: batch norm cannot work on a last batch of one slice.
        for numbers in np.array_split(order, count):
            batch = self._batch(numbers)
            with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
                losses = self.model.training_step(
                    phase, batch, optimisers, self._backward, self.generator
                )
            for name, loss in losses.items():
                totals[name] = totals.get(name, 0) + loss.detach() * (len(numbers) / len(order))
        if self.scaler.is_enabled():
            self.scaler.update()
        return {name: float(total) for name, total in totals.items()}

    def _batch(self, numbers: np.ndarray) -> torch.Tensor:
        if self.resident is not None:
            chosen = self.resident[torch.as_tensor(numbers, device=self.device)]
            return chosen.contiguous(memory_format=torch.channels_last)
        return to_device(self.slices.batch(numbers), self.device)

    def _backward(self, loss: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(optimiser)

    @torch.no_grad()
    def _validate(self, phase: str) -> float:
        self.model.eval()
        total = 0.0
        for batch in self.validation.batches(self.batch_size):
            losses = self.model.validation_loss(phase, to_device(batch, self.device))
            total += float(losses.double().sum())
        return total / len(self.validation)

    def _refuse_divergence(self, phase: str, epoch: int, losses: dict[str, float]) -> None:
        bad = {name: value for name, value in losses.items() if not math.isfinite(value)}
        if bad:
            shown = ", ".join(f"{name} = {value}" for name, value in bad.items())
            raise TrainingError(
                f"training diverged in epoch {epoch + 1} of phase '{phase}': {shown}; lower the "
                f"model's learning_rate. The last good checkpoint is kept in {self.folder}"
            )

    def _save(self, number, epoch, history, optimisers, best, waited, best_weights) -> None:
        state = {
            "phase": number,
            "epoch": epoch,
            "history": history,
            "best": best,
            "waited": waited,
            "weights": self.model.state_dict(),
            "best_weights": best_weights,
            "optimisers": {name: one.state_dict() for name, one in optimisers.items()},
            "scaler": self.scaler.state_dict(),
            "generator": self.generator.get_state(),
        }
        save_checkpoint(self.folder, len(history), state)

    def _restore(self, optimisers) -> tuple[float, int, int, dict[str, torch.Tensor]]:
        stored = self.stored
        self.model.load_state_dict(stored["weights"])
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict(stored["optimisers"][name])
        self.scaler.load_state_dict(stored["scaler"])
        self.generator.set_state(stored["generator"].cpu())
        return stored["best"], stored["waited"], stored["epoch"], stored["best_weights"]

    def _log(self, phase, epoch, max_epochs, losses, value, began, done) -> None:
        left = (time.monotonic() - began) / done * (max_epochs - epoch)
        LOG.info(
            "%s, epoch %d of at most %d: loss %.5g, validation %.5g, at most %s left",
            phase,
            epoch,
            max_epochs,
            losses.get("loss", math.nan),
            value,
            duration(left),
        )
