"""What every model is: how it is trained and what is kept of it.

A model family is one file of this room: literal constants that the workflow reads without importing
it, and a class ``Model``, a :class:`BaseModel`.

``CAPABILITIES``
    set of words, each a protocol of :mod:`normscan.models.capabilities` that ``Model`` fulfils.
    Those in ``BY_DROPOUT``, where a family declares it, are there only on a network whose
    bottleneck has dropout.
``SETTINGS``, ``ALLOWED``
    every setting with its default, and the values that it may have; ``MEANING``: what it is, for
    the reference, where ``models.registry`` does not say so of all families. The settings of
    :data:`TRAINING` are the loop's, all others are keywords of ``Model(shape, **settings)``.
``TOGETHER``
    what must hold for several settings, or for one and the side of the slices
    (:mod:`normscan.workflow.together`).
``STREAMS``, ``LAYERS``
    what it trains on beside the slices of the protocol's main stream, if anything: streams by name,
    of which the first leads (its slices are the batches, epochs and validation go by it); layers of
    the slices (:class:`~normscan.slices.batch.Batch`), as a set, or by stream where these differ.
    With the layer ``pseudo`` the stream's labels are made by another approach of the protocol.
``USES``
    role -> capabilities of another model that it is given, trained, as ``uses[role]``.
``TRANSLATES``
    whether its targets may be other contrasts than its inputs.
``LEAST_CONTRASTS``
    how many contrasts its inputs must have.
``PARTS``, ``NEEDS_DENSE``, ``NEEDS_SPATIAL``
    what its network must have (:mod:`normscan.networks.registry`).
``COST``
    time of training against that of an AE, for what jobs ask of a cluster.
``TITLE``, ``CITE``, ``LOOK``
    what reports and figures say of it.
``CHECKED_WITH``, ``CHECKED_AT``
    settings with which it learns in seconds, and on slices of which side, for the check of all
    families.

Equal arguments give equal weights: models are built by :func:`normscan.models.registry.build`,
under a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from normscan.slices.batch import Batch, SliceShape

# ``batches()`` goes once through all training slices of the main stream, in their order;
# ``batches(stream)`` through those of another.
Batches = Callable[..., Iterator[Batch[Tensor]]]
# Settings of the training loop rather than of the model.
TRAINING = ("batch_size", "max_epochs", "patience", "precision")
# Weights of the models that a model uses have names that begin so.
USED = "uses."


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


class BaseModel(nn.Module):
    """A model that is trained by gradient descent, or fitted at once, or first one, then the other.

    The loop runs through ``phases`` in order. In each it calls :meth:`start_phase`, then for every
    epoch :meth:`training_mode`, :meth:`training_step` on every batch and :meth:`validation_loss`;
    it keeps the weights of the best epoch, and calls :meth:`finish_phase` with them. A phase
    without early stopping has a number of steps (:meth:`limits`), after which it ends, also inside
    an epoch: epochs are as long as the training set is large, and small sets need no less training.
    A phase of no epochs (``max_epochs`` 0) only fits: everything happens in :meth:`finish_phase`.

    Random numbers in training come from torch's global generators, which the loop seeds and keeps
    in its checkpoints. State that is neither a parameter nor a buffer is not kept.

    Parameters
    ----------
    shape : channels of inputs and targets, side of the slices.
    uses : trained models by role; they are kept with this one, never trained and always in ``eval``
        mode.

    Attributes
    ----------
    phases : names, in order.
    FITTED : names of buffers whose size follows from what is fitted, so that a stored one may have
        another size than the new model's.
    """

    phases: tuple[str, ...] = ("main",)
    FITTED: frozenset[str] = frozenset()

    def __init__(self, shape: SliceShape, *, uses: Mapping[str, BaseModel] | None = None):
        super().__init__()
        self.shape = shape
        self.uses = nn.ModuleDict(dict(uses or {}))
        self.uses.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Training or ``eval`` mode, of all but the models that are used."""
        super().train(mode)
        self.uses.train(False)
        return self

    def used(self, role: str) -> Any:
        """The trained model in a role."""
        return self.uses[role]

    def trainable(self) -> list[nn.Parameter]:
        """Parameters of the model itself."""
        return [one for one in self.parameters() if one.requires_grad]

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
        """Called once when a phase starts, for buffers that follow from the training slices."""

    def training_mode(self, phase: str) -> None:
        """Put modules into training mode; a phase with frozen parts leaves those in ``eval``."""
        self.train()

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Losses of a batch: ``loss`` is minimised, all are means over the batch's slices.

        ``reconstruction``, where there is one, is the L1 error per pixel: the training curve shows
        it beside the validation loss.
        """
        raise NotImplementedError

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        """Learn from one batch.

        Parameters
        ----------
        batch : of the main stream; those of others are ``batch.others``.
        update : ``update(name, loss)`` makes a step of the optimiser ``name``; ``update.step`` and
            ``update.epoch`` count.

        Returns
        -------
        losses : scalars for the training curve.
        """
        losses = self.losses(batch)
        update("main", losses["loss"])
        return losses

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """Error of each slice (n,), in ``eval`` mode; None: the phase has no early stopping, and
        must have ``max_steps``.
        """
        raise NotImplementedError

    def finish_phase(self, phase: str, batches: Batches) -> dict[str, float] | None:
        """Called once when a phase is over and its best weights are back.

        Returns
        -------
        Numbers for the training curve, if there are any.
        """
        return None


def l1_error(model: Any, batch: Batch[Tensor]) -> Tensor:
    """L1 reconstruction error per pixel of each slice (n,).

    Early stopping goes by it in Baur et al. 2021, III-B.
    """
    expected = model.reconstruct(batch.slices)
    return (batch.targets - expected).abs().flatten(1).mean(dim=1)


def load_weights(model: BaseModel, weights: Mapping[str, Tensor]) -> None:
    """Load all weights; buffers that are declared ``FITTED`` take the stored size.

    Raises
    ------
    RuntimeError : weights are missing, left over or of another size (torch's own message).
    """
    for path, module in model.named_modules():
        for name in getattr(module, "FITTED", ()):
            stored, own = weights.get(f"{path}.{name}" if path else name), getattr(module, name)
            if stored is not None and stored.shape != own.shape:
                setattr(module, name, own.new_empty(stored.shape))
    model.load_state_dict(dict(weights))


def fitted_names(model: BaseModel) -> set[str]:
    """Names in the state dictionary of all buffers that are declared ``FITTED``."""
    return {
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        for name in getattr(module, "FITTED", ())
    }


def adam(
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Adam:
    """Adam over ``parameters``."""
    return torch.optim.Adam(parameters, lr=learning_rate, betas=tuple(betas))
