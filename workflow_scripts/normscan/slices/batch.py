"""What a model or a detector sees of slices, in training and in detection alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from torch import Tensor

from normscan.errors import ConfigError

A = TypeVar("A", np.ndarray, Tensor)


class SliceShape(NamedTuple):
    """Channels of a model's inputs and of its targets, and the side of its slices in pixels.

    ``neighbours`` is how many slices on either side are among the inputs, as of :class:`View`.
    """

    inputs: int
    targets: int
    size: int
    neighbours: int = 0


@dataclass(frozen=True)
class View:
    """What is seen of a pack.

    Attributes
    ----------
    inputs, targets : names of contrasts, in the order of the channels.
    neighbours : how many slices below and above come with each, as further input channels: first
        the contrasts of the lowest, last those of the highest; beyond a scan's ends they are 0.
    layers : names of integer layers.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    neighbours: int = 0
    layers: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        contrasts: Sequence[str],
        inputs: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        neighbours: int = 0,
        layers: Sequence[str] = (),
    ) -> View:
        """The view of a pack with these contrasts; by default inputs and targets are all of them.

        Raises
        ------
        ConfigError : the pack lacks a contrast.
        """
        chosen = [tuple(contrasts if one is None else one) for one in (inputs, targets)]
        for key, names in zip(("inputs", "targets"), chosen):
            for name in names:
                if name not in contrasts:
                    raise ConfigError(
                        f"{key}: found '{name}', but the slices hold {', '.join(contrasts)}"
                    )
        return cls(chosen[0], chosen[1], neighbours, tuple(sorted(layers)))

    @property
    def same(self) -> bool:
        """Whether a model's targets are its inputs."""
        return self.inputs == self.targets and not self.neighbours

    def shape(self, size: int) -> SliceShape:
        """Channels and side of a model for it."""
        inputs = len(self.inputs) * (2 * self.neighbours + 1)
        return SliceShape(inputs, len(self.targets), size, self.neighbours)


@dataclass(frozen=True)
class Batch(Generic[A]):
    """Some slices: tensors on a device in training, arrays of one whole scan in detection.

    Attributes
    ----------
    slices : the inputs, float32 (n, channels, height, width), background 0.
    targets : what a model predicts, float32 (n, channels, height, width); the same object as
        ``slices`` where a model's targets are its inputs.
    layers : name -> int16 (n, height, width); those that were asked for.
    position : axial position (n,) in the grid, from 0, its lowest slice, to 1.
    others : stream -> as many of its slices; of the main stream's batches in training.
    """

    slices: A
    targets: A
    layers: Mapping[str, A] = field(default_factory=dict)
    position: A | None = None
    others: Mapping[str, Batch[A]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.slices)

    @classmethod
    def of(cls, slices: A, **parts) -> Batch[A]:
        """A batch whose targets are its slices."""
        return cls(slices, slices, **parts)
