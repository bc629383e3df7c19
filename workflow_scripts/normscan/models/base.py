"""What every model is: how it is trained and what it can do once it is.

A model family is one file of this room with three things that the workflow reads:

``CAPABILITIES``
    set of words, each a method below: ``reconstruct``, ``sample`` (``encode``, ``decode_sample``),
    ``drop`` (``decode_sample`` takes a rate of dropout), ``elbo`` (``elbo_parts``, ``elbo_loss``),
    ``energy``, ``embed``. Those in ``BY_DROPOUT``, where a family declares it, are there only on a
    network whose bottleneck has dropout.
``SETTINGS``
    every setting with its default, as a literal.
``build(contrasts, size, seed=0, **settings)``
    a :class:`NeuralModel` or an :class:`Estimator`; equal arguments give equal weights.

Slices are float32 tensors (n, contrasts, height, width), background 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from normscan.slices.store import SliceStore

Batches = Callable[[], Iterator[Tensor]]


class Updates:
    """Turns losses into steps of optimisers; a training step gets one and calls it.

    Attributes
    ----------
    step : number of the training step in this phase, from 0 (for critic steps: every n-th).
    epoch : number of the epoch in this phase, from 0.
    """

    def __init__(self, optimisers: dict[str, torch.optim.Optimizer], scaler=None):
        self.optimisers, self.scaler = optimisers, scaler
        self.step = self.epoch = 0

    def __call__(
        self, name: str, loss: Tensor, *, retain_graph: bool = False, clip: float | None = None
    ) -> None:
        """One step of the optimiser ``name`` down the gradient of ``loss``.

        Only that optimiser's parameters get gradients: a critic's loss never reaches the generator,
        and the other way round.

        Parameters
        ----------
        retain_graph : keep the graph, when another loss follows from the same outputs.
        clip : largest norm of all gradients together.
        """
        optimiser = self.optimisers[name]
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        optimiser.zero_grad(set_to_none=True)
        scaled = loss if self.scaler is None else self.scaler.scale(loss)
        scaled.backward(inputs=parameters, retain_graph=retain_graph)
        if clip is not None:
            if self.scaler is not None:
                self.scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(parameters, clip)
        if self.scaler is None:
            optimiser.step()
        else:
            self.scaler.step(optimiser)
            self.scaler.update()


class NeuralModel(nn.Module):
    """A model whose weights are learned by gradient descent.

    The loop runs through ``phases`` in order. In each it calls :meth:`start_phase`, then for every
    epoch :meth:`training_mode`, :meth:`training_step` on every batch and :meth:`validation_loss`;
    it keeps the weights of the best epoch, and calls :meth:`finish_phase` with them. A phase
    without early stopping has a number of steps (:meth:`limits`), after which it ends, also inside
    an epoch: epochs are as long as the training set is large, and small sets need no less training.

    Random numbers in training come from torch's global generators, which the loop seeds and keeps
    in its checkpoints. State that is neither a parameter nor a buffer is not kept.
    """

    phases: tuple[str, ...] = ("main",)

    def __init__(self, contrasts: int, size: int):
        super().__init__()
        self.contrasts, self.size = contrasts, size

    # Training

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        """New optimisers of a phase by name, each over the parameters that it changes."""
        raise NotImplementedError

    def schedulers(self, phase: str, optimisers: dict) -> dict[str, Any]:
        """Learning rate schedulers by name, stepped after each epoch; none by default."""
        return {}

    def limits(self, phase: str) -> dict[str, int]:
        """``max_epochs`` and ``patience`` where a phase has its own; by default the training's.

        ``max_steps``: the phase takes so many training steps, in as many epochs as that needs.
        """
        return {}

    def start_phase(self, phase: str, batches: Batches) -> None:
        """Called once when a phase starts, for buffers that follow from the training slices.

        Parameters
        ----------
        batches : each call goes once through all training slices, in their order.
        """

    def training_mode(self, phase: str) -> None:
        """Put modules into training mode; a phase with frozen parts leaves those in ``eval``."""
        self.train()

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        """Losses of a batch: ``loss`` is minimised, all are means over the batch's slices.

        ``reconstruction``, where there is one, is the L1 error per pixel: the training curve shows
        it beside the validation loss.
        """
        raise NotImplementedError

    def training_step(self, phase: str, batch: Tensor, update: Updates) -> dict[str, Tensor]:
        """Learn from one batch.

        Parameters
        ----------
        batch : (n, contrasts, height, width).
        update : ``update(name, loss)`` makes a step of the optimiser ``name``; ``update.step`` and
            ``update.epoch`` count.

        Returns
        -------
        losses : scalars for the training curve.
        """
        losses = self.losses(batch)
        update("main", losses["loss"])
        return losses

    def validation_loss(self, phase: str, batch: Tensor) -> Tensor | None:
        """Error of each slice (n,), in ``eval`` mode; None: the phase has no early stopping, and
        must have ``max_steps``.

        By default the L1 reconstruction error per pixel, which early stopping goes by in Baur et
        al. 2021, III-B.
        """
        return (batch - self.reconstruct(batch)).abs().flatten(1).mean(dim=1)

    def finish_phase(self, phase: str, batches: Batches) -> None:
        """Called once when a phase is over and its best weights are back."""

    # What a trained model can do; in ``eval`` mode

    def reconstruct(self, slices: Tensor) -> Tensor:
        """The model's normal version of slices, the same shape; deterministic."""
        raise NotImplementedError

    def encode(self, slices: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The deterministic part of a stochastic reconstruction: computed once, decoded often."""
        raise NotImplementedError

    def decode_sample(self, code: Any, generator: torch.Generator) -> Tensor:
        """One stochastic reconstruction from what :meth:`encode` gave.

        Parameters
        ----------
        generator : lives on the device of the code.
        """
        raise NotImplementedError

    def sample_reconstructions(self, slices: Tensor, generator: torch.Generator) -> Tensor:
        """One stochastic reconstruction of slices."""
        return self.decode_sample(self.encode(slices), generator)

    def elbo_loss(self, slices: Tensor) -> Tensor:
        """Negative evidence lower bound of each slice (n,), differentiable in the slices."""
        expected, rest = self.elbo_parts(slices)
        return (slices - expected).abs().flatten(1).sum(dim=1) + rest

    def elbo_parts(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """An L1 likelihood's bound in parts: what is expected, like ``slices``, and the rest (n,).

        The bound is the sum of absolute differences between slices and what is expected, plus the
        rest. Solvers that can treat absolute values exactly ask for the parts.
        """
        raise NotImplementedError

    def energy(self, slices: Tensor) -> Tensor:
        """Anomaly energy of each pixel (n, height, width)."""
        raise NotImplementedError

    def embed(self, slices: Tensor) -> Tensor:
        """Feature vector of each pixel (n, features, height, width)."""
        raise NotImplementedError


class Estimator:
    """A model that is fitted at once instead of being trained by epochs (OC-SVM, GMM, PatchCore).

    Capabilities are the same methods as :class:`NeuralModel`'s, with the same shapes.
    """

    device = torch.device("cpu")

    def to(self, device: torch.device, **_: Any) -> Estimator:
        """Compute on ``device`` from now on."""
        self.device = torch.device(device)
        return self

    def eval(self) -> Estimator:
        """Itself: there is no training mode."""
        return self

    def fit(self, store: SliceStore, generator: torch.Generator) -> dict[str, float]:
        """Learn from all slices of a store; numbers for the training curve.

        Parameters
        ----------
        store : training slices, to be gone through in batches.
        generator : seeded, on the CPU; the only source of random numbers.
        """
        raise NotImplementedError

    def state(self) -> dict[str, Tensor]:
        """Everything that was learned."""
        raise NotImplementedError

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` gave. KeyError or ValueError when it does not fit."""
        raise NotImplementedError


def adam(
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Adam:
    """Adam over ``parameters``."""
    return torch.optim.Adam(parameters, lr=learning_rate, betas=tuple(betas))
