"""Residual of the mean of several reconstructions: of mirrored slices, and of noisy ones.

Source: the 8 noise draws of QBAE (2026). A slice is reconstructed as it is and mirrored left to
right (``flips``), and the second one mirrored back. With ``draws`` it is random reconstructions
that are averaged, so many of each: of a denoising AE those of noisy slices. Assumed: it is the
reconstructions that are averaged, not their absolute residuals (that is
:mod:`normscan.detectors.montecarlo`): what differs from draw to draw then cancels, instead of
adding to the score of healthy tissue.

Mirrored slices are as good as others where scans are in a symmetric atlas's space.
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
    signed_score,
    suitable_size,
)
from normscan.detectors.sampling import Sampler, sampler_of, slice_generator
from normscan.errors import ConfigError
from normscan.progress import progress
from normscan.slices.batch import Batch

TITLE = "the residual of the mean of several reconstructions"
CITE = ["kascenas2022"]
LINE = "dashed"
EXPECTED = "reconstruction"
COST = 16.0
NEEDS = {"reconstruct"}
SETTINGS: dict[str, Any] = {"draws": None, "flips": True, "batch_size": None}
ALLOWED = {"draws": "whole 1..", "batch_size": "whole 1.."}
TOGETHER = {
    "draws or flips": "nothing is averaged without draws and without flips; give one of them",
}
MEANING = {
    "draws": "random reconstructions of each slice, and of its mirror image; null: the one that is "
    "not random",
    "flips": "whether mirrored slices count",
}
NEEDED_FOR = {"draws": "sample"}
SIGNED = True
RESIDUAL = True
# Left and right, of slices (n, c, x, y).
ACROSS = 2
# Not a setting: the stream of random numbers depends on it.
GROUP = 16


class AveragedReconstruction:
    """Targets minus the mean reconstruction; arguments as in ``detectors.base``.

    Raises
    ------
    ConfigError : ``draws`` below 1, ``flips`` that is neither true nor false, or neither of them:
        nothing would be averaged.
    """

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        draws: int | None,
        flips: bool,
        batch_size: int | None,
    ):
        self.draws = None if draws is None else int(check_at_least("draws", draws, 1))
        if not isinstance(flips, bool):
            raise ConfigError(f"flips: found {flips!r}; must be true or false")
        self.views = 1 + flips
        if self.draws is None and not flips:
            raise ConfigError("draws, flips: neither is given, so nothing is averaged")
        self.model, self.device = for_inference(model, device), device
        self.size = suitable_size(batch_size, device)

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The residual, the mean reconstruction, and the deviation of the reconstructions."""
        scores, expectations = empty_arrays(scan)
        spreads = np.empty_like(scores)

        def compute(where: slice, batch: Batch[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            # The mode is one of a thread.
            with torch.inference_mode():
                mean, spread = self._expected(batch.slices, seed, where.start)
                return signed_score(batch.targets - mean), mean, spread

        found = each_batch(compute, scan, self.size, self.device)
        for where, parts in progress(found, "reconstruction", count_batches(scan, self.size)):
            for array, part in zip((scores, expectations, spreads), parts):
                array[where] = part.cpu().numpy()
        return Detection(scores, expectations, uncertainty=spreads)

    def _expected(self, slices: Tensor, seed: int, first: int) -> tuple[Tensor, Tensor]:
        """Mean (n, targets, h, w) and deviation (n, h, w), the mean of the targets'.

        Parameters
        ----------
        first : number in its scan of the first slice.
        """
        views = [slices, slices.flip(ACROSS)][: self.views]
        if self.draws is None:
            made = [self.model.reconstruct(one) for one in views]
            return _statistics(torch.stack(_unmirrored(made)))
        samplers = [sampler_of(self.model, one) for one in views]
        found = []
        for place in range(len(slices)):
            generator = slice_generator(seed, first + place, self.device)
            made = [_drawn(one, place, self.draws, generator) for one in samplers]
            found.append(_statistics(torch.cat(_unmirrored(made))))
        means, spreads = zip(*found)
        return torch.stack(means), torch.stack(spreads)


def _drawn(sampler: Sampler, place: int, count: int, generator: torch.Generator) -> Tensor:
    """So many random reconstructions of a slice (count, c, h, w)."""
    groups = [min(GROUP, count - start) for start in range(0, count, GROUP)]
    return torch.cat([sampler(place, many, generator) for many in groups])


def _unmirrored(views: Sequence[Tensor]) -> list[Tensor]:
    """Reconstructions of slices as they are, and those of mirrored ones, mirrored back."""
    return [views[0], *(one.flip(ACROSS) for one in views[1:])]


def _statistics(made: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the first axis; deviation, its mean over contrasts (the third last axis)."""
    spread, mean = torch.std_mean(made, dim=0, correction=0)
    return mean, spread.mean(dim=-3)


prepare = AveragedReconstruction
