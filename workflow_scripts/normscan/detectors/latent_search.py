"""Residual of the most similar slice that a generator can draw; its code is searched for.

Source: Schlegl et al. 2017, sections 2.2 and 2.3 (thesis of Baur 2021, section 3.3.1). Starting at
a random code z, 500 steps minimise for each slice x

    A(z) = (1 - w) |x - G(z)| + w |f(x) - f(G(z))|

G is the generator, f the last features of the discriminator, both frozen; w, ``feature_weight``, is
0.1 (the paper's lambda) and |.| a sum of absolute values. What is left of A is the slice's score,
x - G(z) its map. ``distance: squared`` takes sums of squares, as the thesis describes the method.

Not given in the paper: how the steps are made. Adam's are taken, of 0.01: 500 of them can carry
every entry of a code across its prior; 0.001, with which Kobayashi et al. 2021 (section III-B)
improve a code that an encoder found, would leave it near its random start. Codes are not held
inside of their prior. ``starts`` above 1, which the paper does not have, searches from several
random codes and keeps what has the smallest A.

``start: encoder`` is the search of Kobayashi et al. 2021 (sections II-B3 and III-C3): the first
code is the one that the model's encoder infers. There 100 steps of 0.001 minimise the squared
distance (``steps: 100``, ``learning_rate: 0.001``, ``distance: squared``, ``feature_weight: 0``).

All slices of a batch are searched for together (:mod:`normscan.detectors.searching`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import Detection, check_at_least, empty_arrays
from normscan.detectors.inference import (
    count_batches,
    each_batch,
    for_inference,
    signed_score,
    suitable_size,
)
from normscan.detectors.sampling import slice_seed
from normscan.detectors.searching import (
    DISTANCES,
    Distance,
    descend,
    inferred_codes,
    prior_codes,
)
from normscan.errors import ConfigError
from normscan.models.capabilities import Discriminates, Generates, InfersCodes
from normscan.progress import progress
from normscan.slices.batch import Batch

TITLE = "the residual of the nearest generated slice"
CITE = ["schlegl2017"]
LINE = "dashed"
LEVELS = {"voxel", "slice"}
NEEDS = {"generate"}
SETTINGS: dict[str, Any] = {
    "start": "prior",
    "steps": 500,
    "learning_rate": 0.01,
    "feature_weight": None,
    "distance": "absolute",
    "starts": 1,
    "batch_size": None,
}
ALLOWED = {
    "start": ["prior", "encoder"],
    "steps": "1..",
    "learning_rate": ">0..",
    "feature_weight": "0..1",
    "distance": ["absolute", "squared"],
    "starts": "1..",
    "batch_size": "whole 1..",
}
MEANING = {
    "start": "first code: a draw from the prior, or what the encoder infers",
    "steps": "of the search",
    "learning_rate": "step size of the search",
    "feature_weight": "lambda, share of the discriminator's features in the objective; null: 0.1, "
    "or 0 for a model without a discriminator",
    "distance": "sums of absolute differences, or of their squares",
    "starts": "codes that are searched from; all but the first are random, and the best is kept",
}
NEEDED_FOR = {"feature_weight": "discriminate", "start": {"encoder": "encode"}}
# For tests of all detectors, on slices of four pixels and more.
CHECKED_WITH = {"steps": 3}
SIGNED = True
RESIDUAL = True
PUBLISHED_WEIGHT = 0.1
ENCODER = "encoder"


class LatentSearch:
    """Input minus the nearest generated slice; arguments as in ``detectors.base``.

    Raises
    ------
    ConfigError : a setting is out of range, or weighs features that the model does not have.
    """

    def __init__(
        self,
        model: Generates,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        start: str,
        steps: int,
        learning_rate: float,
        feature_weight: float | None,
        distance: str,
        starts: int,
        batch_size: int | None,
    ):
        self.start = _checked_start(model, start)
        self.steps = int(check_at_least("steps", steps, 1))
        if not 0 < check_at_least("learning_rate", learning_rate, 0) < np.inf:
            raise ConfigError(f"learning_rate: found {learning_rate}; must be above 0")
        self.learning_rate = learning_rate
        self.weight = _feature_weight(model, feature_weight)
        if distance not in DISTANCES:
            allowed = ", ".join(DISTANCES)
            raise ConfigError(f"distance: found {distance!r}; allowed: {allowed}")
        self.distance = DISTANCES[distance]
        self.starts = int(check_at_least("starts", starts, 1))
        self.model, self.device = for_inference(model, device), device
        self.size = suitable_size(batch_size, device)

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The map, the nearest generated slices, and what is left of A.

        Raises
        ------
        ConfigError : the search diverged.
        """
        residuals, expectations = empty_arrays(scan)
        scores = np.empty(len(scan), np.float32)

        def compute(where: slice, batch: Batch[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            seeds = [slice_seed(seed, number) for number in range(where.start, where.stop)]
            value, codes = self._nearest(batch, seeds)
            if not value.isfinite().all():
                raise ConfigError(
                    f"the latent search of slices {where.start} to {where.stop - 1} diverged; "
                    "choose a smaller learning_rate"
                )
            with torch.no_grad():
                expected = self.model.generate(codes)
            return signed_score(batch.targets - expected), expected, value

        found = each_batch(compute, scan, self.size, self.device)
        for where, parts in progress(found, "latent search", count_batches(scan, self.size)):
            for array, part in zip((residuals, expectations, scores), parts):
                array[where] = part.cpu().numpy()
        return Detection(residuals, expectations, scores)

    def _nearest(self, batch: Batch[Tensor], seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A and code of each slice, the best of all starts."""
        targets = batch.targets
        with torch.no_grad():
            features = self.model.discriminator_features(targets) if self.weight else None
        value = partial(
            objective, self.model, targets, features, weight=self.weight, distance=self.distance
        )
        best, found = None, None
        for start in self._starts(batch, seeds):
            codes = descend(value, start, steps=self.steps, learning_rate=self.learning_rate)
            with torch.no_grad():
                own = value(codes)
            if best is None or found is None:
                best, found = own, codes
                continue
            better = own < best
            best = torch.where(better, own, best)
            found[better] = codes[better]
        assert best is not None and found is not None
        return best, found

    def _starts(self, batch: Batch[Tensor], seeds: Sequence[int]) -> Iterator[Tensor]:
        """Codes to start at, again and again: every slice has random numbers of its own.

        Drawn on the CPU, so that all devices start alike, and one at a time, so that more starts
        go on where fewer end.
        """
        drawn = self.starts
        if self.start == ENCODER:
            yield inferred_codes(self.model, batch.slices)
            drawn -= 1
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for _ in range(drawn):
            yield prior_codes(self.model, generators).to(self.device)


def objective(
    model: Any,
    slices: Tensor,
    features: Tensor | None,
    codes: Tensor,
    *,
    weight: float,
    distance: Distance,
) -> Tensor:
    """A of each slice (n,), from codes (n, ...).

    Parameters
    ----------
    features : of the slices; None: without the discriminator's term.
    """
    generated = model.generate(codes)
    residual = (1 - weight) * distance(slices - generated)
    if features is None:
        return residual
    return residual + weight * distance(features - model.discriminator_features(generated))


def _checked_start(model: Any, start: str) -> str:
    """``start``. ConfigError: it is not known, or the model has no encoder that gives codes."""
    if start not in ALLOWED["start"]:
        raise ConfigError(f"start: found {start!r}; allowed: {', '.join(ALLOWED['start'])}")
    if start == ENCODER and not isinstance(model, InfersCodes):
        raise ConfigError(f"start: found {start!r}; the model has no encoder that infers codes")
    return start


def _feature_weight(model: Any, given: float | None) -> float:
    """The weight of the features. ConfigError: it is none, or the model has no discriminator."""
    able = isinstance(model, Discriminates)
    if given is None:
        return PUBLISHED_WEIGHT if able else 0.0
    if not check_at_least("feature_weight", given, 0) <= 1:
        raise ConfigError(f"feature_weight: found {given}; must be a number from 0 to 1")
    if given and not able:
        raise ConfigError(f"feature_weight: found {given}; the model has no discriminator")
    return given


prepare = LatentSearch
