"""What a detector is, and what it gives.

A detector is one file of this room with literal constants that the workflow reads (``NEEDS``: the
capabilities of a model it cannot do without; ``SETTINGS``: every setting with its default;
``ALLOWED``: the values that they may have; ``TOGETHER``: what must hold for several of them;
``MEANING``: what they are, for the reference, beside ``detectors.registry``; ``SIGNED``;
``RESIDUAL``; ``NEEDED_FOR``, if there are such: settings that a model must be able to do something
for when they are given; ``LAYERS``, if it reads others than ``brain``; ``USES``: role ->
capabilities of further models; ``LEVELS``, if it scores slices) and a function, called once in a
job::

    prepare(model, *, device, contrasts, **settings) -> Detector

``model`` is trained (None where ``NEEDS`` is empty) and stays as it was; ``contrasts`` names the
channels of the targets; all settings are given. A detector with ``USES`` also takes ``uses``, the
further models by role. The :class:`Detector` that comes out is asked once per scan.

``SIGNED`` says whether the map's sign tells brighter from darker than expected. ``RESIDUAL`` says
whether its absolute value is that of targets minus reconstruction (or its mean over several), in
units of intensity: only of such maps the mean over voxels is an L1 reconstruction error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from normscan.errors import ConfigError
from normscan.slices.batch import Batch

if TYPE_CHECKING:
    from normscan.slices.store import SliceStore

BRAIN = "brain"


@dataclass(frozen=True)
class Detection:
    """What a detector says of the slices of one scan: a map, or a score per slice, or both.

    Attributes
    ----------
    map : float32 (n, height, width); the absolute value is the anomaly score, the sign that of
        targets minus expectation. None: nothing is said of pixels.
    reconstruction : float32 (n, targets, height, width), what was expected; None: nothing.
    scores : float32 (n,), high = anomalous; None: nothing is said of slices as wholes.
    uncertainty : float32 (n, height, width), at least 0, in units of intensity: how far apart the
        reconstructions of a pixel are (standard deviation). None: there is one reconstruction.
    """

    map: np.ndarray | None = None
    reconstruction: np.ndarray | None = None
    scores: np.ndarray | None = None
    uncertainty: np.ndarray | None = None


@runtime_checkable
class Detector(Protocol):
    """A detector that is ready for any number of scans."""

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """What is abnormal in a scan.

        Parameters
        ----------
        scan : all slices of ONE scan, with the detector's layers. A map depends on its own slice
            only (the intensity detector's on its own scan), not on the other slices of a batch.
        seed : random numbers follow from it and the slice's number in its scan.
        """
        ...


@runtime_checkable
class Tunes(Protocol):
    """A detector with settings that are found on healthy scans, without labels."""

    def tune(self, healthy: SliceStore) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings that were ``auto``, and a record of how they were found.

        Parameters
        ----------
        healthy : slices of healthy validation scans.

        Returns
        -------
        settings, record : the record has ``how``, ``reason``, ``criterion`` (its name) and
            ``table``: for each of the values that were tried a row with the name of its setting,
            or of several that were tried together, and that of the criterion.
        """
        ...


def empty_arrays(scan: Batch[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Map and reconstruction of a :class:`Detection`, to be filled batch by batch."""
    count, _, height, width = scan.targets.shape
    return np.empty((count, height, width), np.float32), np.empty(scan.targets.shape, np.float32)


def check_at_least(name: str, value: Any, least: float) -> float:
    """``value``. ConfigError naming the setting when it is no number or below ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
        raise ConfigError(f"{name}: found {value!r}; must be a number of at least {least}")
    return value
