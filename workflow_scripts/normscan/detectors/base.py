"""What a detector is, and what it gives.

A detector is one file of this room with literal constants that the workflow reads (``NEEDS``: the
capabilities of a model it cannot do without; ``SETTINGS``: every setting with its default;
``SIGNED``; ``RESIDUAL``; ``NEEDED_FOR``, if there are such: settings that a model must be able to
do something for when they are given) and a function, called once per scan::

    detect(model, slices, brain, *, seed, device, contrasts=(), **settings) -> Detection

``slices`` is float32 (n, contrasts, height, width), an array or a memory map; ``brain`` is bool
(n, height, width); ``contrasts`` names the channels. A map depends on its own slice only (the
intensity detector's on its own scan), not on the other slices of a batch; random numbers follow
from the seed and the slice's number in its scan. The model that is passed stays as it was.

``SIGNED`` says whether the map's sign tells brighter from darker than expected. ``RESIDUAL`` says
whether its absolute value is that of input minus reconstruction (or its mean over several), in
units of intensity: only of such maps the mean over voxels is an L1 reconstruction error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from normscan.errors import ConfigError


@dataclass(frozen=True)
class Detection:
    """What was found in the slices of one scan.

    Attributes
    ----------
    map : float32 (n, height, width); the absolute value is the anomaly score, the sign that of
        input minus expectation. None: the detector scores whole slices only.
    reconstruction : float32 (n, contrasts, height, width), what was expected; None: nothing.
    scores : (n,), one score per slice, finite, of any sign, high means anomalous; None: no such.
    """

    map: np.ndarray | None
    reconstruction: np.ndarray | None = None
    scores: np.ndarray | None = None


def empty_arrays(slices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map and reconstruction of a :class:`Detection`, to be filled batch by batch."""
    count, _, height, width = slices.shape
    return np.empty((count, height, width), np.float32), np.empty(slices.shape, np.float32)


def check_at_least(name: str, value: Any, least: float) -> float:
    """``value``. ConfigError naming the setting when it is no number or below ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
        raise ConfigError(f"{name}: found {value!r}; must be a number of at least {least}")
    return value
