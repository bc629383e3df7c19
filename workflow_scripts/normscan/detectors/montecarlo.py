"""Mean absolute residual over random reconstructions.

Source: Baur et al. 2021, sections II-B (Monte Carlo methods) and III-C, after Pawlowski et al. 2018
and Gal & Ghahramani 2016: 100 reconstructions of each slice, from codes drawn from a VAE's
posterior, or by dropout on those of an AE: the trained AE itself, whose dropout is active here.

The spread of the reconstructions is a pixel's uncertainty (Baur et al. 2020, "Bayesian
skip-autoencoders"; thesis, section 3.4.3): their standard deviation, of all N of them (divided by
N, not N - 1); with several contrasts the mean of theirs, as the map is that of their residuals.

A slice is encoded once. Samples of one slice are decoded together in groups of fixed size, with a
generator of their own, so that no slice's random numbers depend on any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import Detection, check_at_least, empty_arrays
from normscan.detectors.inference import (
    count_batches,
    each_batch,
    for_inference,
    suitable_size,
    with_sign,
)
from normscan.detectors.sampling import Sampler, sampler_of, slice_generator
from normscan.errors import ConfigError
from normscan.models.capabilities import Samples
from normscan.networks.registry import check_rate
from normscan.progress import progress
from normscan.slices.batch import Batch

TITLE = "the mean residual of Monte Carlo reconstructions"
CITE = ["pawlowski2018", "gal2016"]
LINE = "dotted"
EXPECTED = "reconstruction"
NEEDS = {"sample"}
SETTINGS: dict[str, Any] = {"samples": 100, "dropout": None}
ALLOWED = {
    "samples": "1..",
    "dropout": ">0..<1",
}
MEANING = {
    "samples": "reconstructions of each slice",
    "dropout": "rate at which an AE's code loses its entries; null: as in training. Models that "
    "draw from a posterior take none",
}
NEEDED_FOR = {"dropout": "drop"}
# For tests of all detectors, on slices of four pixels and more.
CHECKED_WITH = {"samples": 23}
SIGNED = True
RESIDUAL = True
# Not a setting: the stream of random numbers depends on it. Twenty decoders at 128x128 fit a cache.
GROUP = 20
# Of one batch on a CPU: encoding is little work, and threads have a batch each.
SLICES_AT_ONCE = 4


class MonteCarlo:
    """Mean over samples and contrasts of the absolute residual, signed by the mean residual.

    Raises
    ------
    ConfigError : ``samples`` below 1, a ``dropout`` that drops nothing or everything.
    """

    def __init__(
        self,
        model: Samples,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        samples: int,
        dropout: float | None,
    ):
        self.model, self.device = for_inference(model, device), device
        self.samples = int(check_at_least("samples", samples, 1))
        self.dropping = _dropping(dropout)
        self.size = SLICES_AT_ONCE if device.type == "cpu" else suitable_size(None, device)

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The map and the uncertainty; the reconstruction is the mean of the samples.

        Raises
        ------
        ConfigError : a model without anything random.
        """
        scores, expectations = empty_arrays(scan)
        spreads = np.empty_like(scores)

        def compute(where: slice, batch: Batch[Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
            # The mode is one of a thread.
            with torch.inference_mode():
                sampler = sampler_of(self.model, batch.slices, self.dropping)
                return [
                    _statistics(sampler, place, target, self.samples, seed, where.start + place)
                    for place, target in enumerate(batch.targets)
                ]

        found = each_batch(compute, scan, self.size, self.device)
        for where, statistics in progress(found, "Monte Carlo", count_batches(scan, self.size)):
            for number, (score, mean, spread) in enumerate(statistics, where.start):
                scores[number] = score.cpu().numpy()
                expectations[number] = mean.cpu().numpy()
                spreads[number] = spread.cpu().numpy()
        return Detection(scores, expectations, uncertainty=spreads)


def _statistics(
    sampler: Sampler, place: int, slice_: Tensor, samples: int, seed: int, number: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Of one slice (c, h, w): signed score (h, w), mean reconstruction (c, h, w), spread (h, w).

    Squares are taken of differences from the first sample, which is as far from the mean as others:
    those of the samples themselves would lose a small spread of large values to rounding.
    """
    generator = slice_generator(seed, number, slice_.device)
    absolute, signed, shift, squares = (torch.zeros_like(slice_) for _ in range(4))
    first = None
    for start in range(0, samples, GROUP):
        drawn = sampler(place, min(GROUP, samples - start), generator)
        first = drawn[0].clone() if first is None else first
        apart = drawn - first
        shift += apart.sum(dim=0)
        squares += apart.square_().sum(dim=0)
        residual = slice_ - drawn
        signed += residual.sum(dim=0)
        absolute += residual.abs_().sum(dim=0)
    absolute, signed = absolute / samples, signed / samples
    variance = (squares - shift.square() / samples).clamp_min(0) / samples
    score = with_sign(absolute.mean(dim=0), signed.mean(dim=0))
    return score, slice_ - signed, variance.sqrt().mean(dim=0)


def _dropping(rate: float | None) -> dict[str, float]:
    """What is handed to the model beside codes and generator."""
    if rate is None:
        return {}
    if not check_rate(rate):
        raise ConfigError("dropout: found 0; all samples would be equal, so it must be above 0")
    return {"dropout": rate}


prepare = MonteCarlo
