"""One training as an object: what it has reached, and how it takes the next step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normscan.compute.devices import autocast, seeded
from normscan.errors import TrainingError
from normscan.models.base import BaseModel, Updates, load_weights
from normscan.slices.batch import Batch
from normscan.slices.batches import DeviceSlices, endless_numbers, epoch_batches, to_device
from normscan.slices.store import SliceStore
from normscan.streams import MAIN
from normscan.training.checkpoint import save_checkpoint
from normscan.training.curve import ABOUT
from normscan.training.reporting import EpochReport
from normscan.training.state import (
    below,
    copy_weights,
    load_optimiser_state,
    optimiser_state,
    prefixed,
    random_state,
    set_random_state,
)
from normscan.training.stopping import EarlyStopping

# Reading losses makes a GPU wait; so they are looked at only now and then inside an epoch.
STEPS_BETWEEN_CHECKS = 100
# Streams beside the main one have orders of their own: keys that no epoch's number reaches.
OTHERS = 1 << 40
# Arrays, numbers of the slices, seed and phase and epoch -> the arrays changed.
Augment = Callable[[Batch[np.ndarray], np.ndarray, Sequence[int]], Batch[np.ndarray]]


class Run:
    """A training of a :class:`BaseModel`; arguments as of :func:`normscan.training.loop.train`.

    Attributes
    ----------
    phase, epoch : where it is; ``epoch`` counts the finished epochs of the phase.
    """

    def __init__(
        self,
        model: BaseModel,
        store: SliceStore,
        validation: SliceStore,
        others: Mapping[str, SliceStore],
        *,
        seed: int,
        device: torch.device,
        batch_size: int,
        max_epochs: int,
        patience: int,
        precision: str,
        augment: Augment | None,
    ):
        # (Torch's annotations know the memory format together with a type only.)
        self.model = model.to(device, memory_format=torch.channels_last)  # ty: ignore[no-matching-overload]
        # What is changed anew in every epoch need not wait on the device.
        self.slices = DeviceSlices(store, device, resident=None if augment is None else False)
        self.held_out = DeviceSlices(validation, device)
        self.others = {name: DeviceSlices(one, device) for name, one in others.items()}
        self.seed, self.device, self.batch_size = seed, device, batch_size
        self.max_epochs, self.patience = max_epochs, patience
        self.precision, self.augment = precision, augment
        self.scaler = torch.amp.GradScaler(device.type) if precision == "float16" else None
        self.number = self.epoch = self.step = self.batches_done = self.saved = 0
        self.max_steps: int | None = None
        self.started = False
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.schedulers: dict[str, Any] = {}
        self.totals: dict[str, Tensor] = {}
        self.best: dict[str, Tensor] = {}
        self.random: dict[str, Tensor] | None = None
        self.history: list[dict[str, Any]] = []
        self.stopping = EarlyStopping(patience)
        self.folder: Path | None = None

    def save_with(
        self, folder: Path | None, identity: str, seconds: float, steps: int | None
    ) -> None:
        """Where and how often to save checkpoints inside epochs."""
        self.folder, self.identity = folder, identity
        self.seconds, self.steps = seconds, steps
        self.last_save = time.monotonic()

    @property
    def phase(self) -> str:
        """Name of the phase it is in; the last one's when all are over."""
        return self.model.phases[min(self.number, len(self.model.phases) - 1)]

    def train(self) -> list[dict[str, Any]]:
        """Go on to the end; the history."""
        if self.random is not None:
            set_random_state(self.random, self.device)
        while self.number < len(self.model.phases):
            self._phase()
        self.model.eval()
        return self.history

    def _phase(self) -> None:
        phase, limits = self.phase, self.model.limits(self.phase)
        self.stopping.patience = limits.get("patience", self.patience)
        self.max_steps = limits.get("max_steps")
        unit, most = "step", self.max_steps
        if most is None:
            unit, most = "epoch", limits.get("max_epochs", self.max_epochs)
        if not self.started:
            self.model.start_phase(phase, self._training_batches)
            if most:
                self._make_optimisers()
            self.started = True
        report = EpochReport(f"training, {phase}", self._done, most, unit)
        while self._done < most and not self.stopping.over:
            self._epoch()
            row = self.history[-1]
            losses = {name: value for name, value in row.items() if name not in ABOUT}
            report.epoch(self._done, losses, row["validation"], self.stopping.best_epoch)
        reason = "no more improvement" if self.stopping.over else f"all {unit}s done"
        report.close(self._done, self.stopping.best_epoch, reason)
        self._finish_phase()

    @property
    def _done(self) -> int:
        """How far the phase is, in what it is limited by: epochs, or steps."""
        return self.epoch if self.max_steps is None else self.step

    def _finish_phase(self) -> None:
        if self.best:
            load_weights(self.model, self.best)
        self.model.eval()
        with torch.no_grad():
            facts = self.model.finish_phase(self.phase, self._training_batches)
        if not self.epoch:
            row = {"phase": self.phase, "epoch": 1, "best": True, "validation": None}
            self.history.append({**row, **(facts or {})})
        self.number += 1
        self.epoch = self.step = 0
        self.started, self.best = False, {}
        self.optimisers, self.schedulers = {}, {}
        self.stopping = EarlyStopping(self.patience)
        self._save()

    def _make_optimisers(self) -> None:
        self.optimisers = self.model.optimisers(self.phase)
        self.schedulers = self.model.schedulers(self.phase, self.optimisers)

    def _training_batches(self, stream: str = MAIN) -> Iterator[Batch[Tensor]]:
        slices = self.slices if stream == MAIN else self.others[stream]
        return slices.in_order(self.batch_size)

    def _main_batches(self, batches: list[np.ndarray]) -> Iterator[Batch[Tensor]]:
        """Batches of the main stream; augmented ones are made while the one before is learnt from.

        So nothing that makes them may use torch's global random numbers.
        """
        if self.augment is None:
            yield from map(self.slices, batches)
            return
        with ThreadPoolExecutor(1) as maker:
            coming: Future | None = None
            for numbers in batches:
                ready, coming = coming, maker.submit(self._augmented, numbers)
                if ready is not None:
                    yield to_device(ready.result(), self.device)
            if coming is not None:
                yield to_device(coming.result(), self.device)

    def _augmented(self, numbers: np.ndarray) -> Batch[np.ndarray]:
        assert self.augment is not None
        key = self.seed, self.number, self.epoch
        return self.augment(self.slices.store.batch(numbers), numbers, key)

    def _with_others(self, batch: Batch[Tensor], done: int) -> Batch[Tensor]:
        """A batch of the main stream with as many slices of each other stream.

        Parameters
        ----------
        done : slices of the main stream that this phase has seen before.
        """
        if not self.others:
            return batch
        others = {}
        for place, (name, slices) in enumerate(sorted(self.others.items()), start=1):
            key = self.seed, self.number, OTHERS + place
            others[name] = slices(endless_numbers(len(slices), done, len(batch), *key))
        return replace(batch, others=others)

    def _epoch(self) -> None:
        phase = self.phase
        self.model.training_mode(phase)
        update = Updates(self.optimisers, self.scaler)
        update.epoch = self.epoch
        batches = self._batches_of_epoch()
        seen = self.epoch * len(self.slices) + sum(map(len, batches[: self.batches_done]))
        for batch in self._main_batches(batches[self.batches_done :]):
            batch = self._with_others(batch, seen)
            seen += len(batch)
            update.step = self.step
            with autocast(self.precision, self.device):
                losses = self.model.training_step(phase, batch, update)
            for name, loss in losses.items():
                part = loss.detach().double() * (len(batch) / len(self.slices))
                self.totals[name] = self.totals.get(name, 0) + part
            self.step += 1
            self.batches_done += 1
            if self.batches_done < len(batches) and self._checkpoint_is_due():
                self._refuse_divergence(self._means())
                self._save()
            elif self.step % STEPS_BETWEEN_CHECKS == 0:
                self._refuse_divergence(self._means())
        # Of the slices that were seen: a phase may end inside an epoch.
        share = sum(map(len, batches)) / len(self.slices)
        means = {name: value / share for name, value in self._means().items()}
        self._refuse_divergence(means)
        validation = self._validate()
        if validation is None and self.max_steps is None:
            raise TrainingError(
                f"phase '{phase}' has no validation loss to stop by: its limits must say max_steps"
            )
        self._refuse_divergence({"validation": validation})
        self._end_epoch(means, validation)

    def _batches_of_epoch(self) -> list[np.ndarray]:
        """Numbers of the slices in each batch of this epoch, as far as the phase's steps reach."""
        key = self.seed, self.number, self.epoch
        batches = epoch_batches(len(self.slices), self.batch_size, *key)
        if self.max_steps is None:
            return batches
        return batches[: self.max_steps - (self.step - self.batches_done)]

    def _end_epoch(self, means: dict[str, float], validation: float | None) -> None:
        self.epoch += 1
        self.batches_done, self.totals = 0, {}
        for scheduler in self.schedulers.values():
            scheduler.step()
        better = validation is not None and self.stopping.update(validation, self.epoch, self.step)
        if better:
            self.best = copy_weights(self.model)
        row = {"phase": self.phase, "epoch": self.epoch, "best": better, "validation": validation}
        self.history.append({**row, **means})
        self._save()

    @torch.no_grad()
    def _validate(self) -> float | None:
        """Mean validation loss over all held-out slices; None: the phase has none."""
        self.model.eval()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        # The same noise every time: epochs are compared on equal terms.
        with seeded(self.seed, self.device), autocast(self.precision, self.device):
            for batch in self.held_out.in_order(self.batch_size):
                losses = self.model.validation_loss(self.phase, batch)
                if losses is None:
                    return None
                total += losses.double().sum()
        return float(total) / len(self.held_out)

    def _means(self) -> dict[str, float]:
        return {name: float(total) for name, total in self.totals.items()}

    def _refuse_divergence(self, losses: Mapping[str, float | None]) -> None:
        bad = {
            name: value
            for name, value in losses.items()
            if value is not None and not math.isfinite(value)
        }
        if bad:
            shown = ", ".join(f"{name} is {value}" for name, value in bad.items())
            kept = f" The last good checkpoint is kept in {self.folder}." if self.folder else ""
            raise TrainingError(
                f"training diverged in epoch {self.epoch + 1} of phase '{self.phase}': {shown}. "
                f"Lower the model's learning_rate, or look for extreme values in the scans.{kept}"
            )

    def _checkpoint_is_due(self) -> bool:
        if self.folder is None:
            return False
        if self.steps and self.step % self.steps == 0:
            return True
        return time.monotonic() - self.last_save >= self.seconds

    def _save(self) -> None:
        if self.folder is None:
            return
        self.saved += 1
        save_checkpoint(self.folder, self.saved, *self.state(), self.identity)
        self.last_save = time.monotonic()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that is needed to go on: tensors and plain values."""
        tensors = {
            **prefixed("model", self.model.state_dict()),
            **prefixed("best", self.best),
            **prefixed("totals", self.totals),
            **prefixed("random", random_state(self.device)),
        }
        optimisers = {}
        for name, optimiser in self.optimisers.items():
            state, optimisers[name] = optimiser_state(optimiser)
            tensors |= prefixed(f"optimiser/{name}", state)
        names = ("number", "epoch", "step", "batches_done", "started", "saved", "history")
        return tensors, {
            **{name: getattr(self, name) for name in names},
            "optimisers": optimisers,
            "schedulers": {name: one.state_dict() for name, one in self.schedulers.items()},
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "stopping": self.stopping.state(),
        }

    def load_state(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Take back what :meth:`state` gave."""
        load_weights(self.model, below("model", tensors))
        on_device = {name: value.to(self.device) for name, value in tensors.items()}
        self.best = below("best", on_device)
        self.totals = below("totals", on_device)
        self.random = below("random", tensors)
        for name in ("number", "epoch", "step", "batches_done", "started", "saved", "history"):
            setattr(self, name, values[name])
        self.stopping.load_state(values["stopping"])
        if self.scaler and values["scaler"]:
            self.scaler.load_state_dict(values["scaler"])
        if self.started:
            self._make_optimisers()
            for name, optimiser in self.optimisers.items():
                state = below(f"optimiser/{name}", tensors)
                load_optimiser_state(optimiser, state, values["optimisers"][name])
            for name, scheduler in self.schedulers.items():
                scheduler.load_state_dict(values["schedulers"][name])
