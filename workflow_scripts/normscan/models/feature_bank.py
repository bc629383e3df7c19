"""Memory bank of healthy features: what resembles none of them is abnormal.

Source: Roth et al. 2022, "Towards total recall in industrial anomaly detection" (PatchCore),
section 3: features of places, each a mean over its ``patch`` x ``patch`` neighbourhood; a bank of
them that a greedy k-centre choice keeps small, on random projections (``projected``, there 128);
the distance to the nearest entry, brought to the slice's size bilinearly. Otherwise than there:
features are those of another model, trained on the same kind of slices, at one scale, instead of
two scales of a network that was trained on photographs; the bank has a given size (``bank_size``)
instead of a share of all features and is chosen from at most ``candidates`` of them, drawn at
random, so that memory does not grow with the training set; neither is the map smoothed nor are
scores of whole slices reweighted. With ``nearest`` above 1 the distance is a mean over the
nearest entries, as in Bergman et al. 2020, section 3.1, so that a single odd entry hides less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from normscan.errors import ConfigError
from normscan.models.base import BaseModel, Batches
from normscan.models.parts.bank import cover, draw_vectors, nearest_distance, project
from normscan.slices.batch import SliceShape

TITLE = "feature bank"
CITE = {
    "roth2022": "",
    "bergman2020": "Bergman L, Cohen N, Hoshen Y. Deep nearest neighbor anomaly detection. "
    "arXiv:2002.10445, 2020. https://arxiv.org/abs/2002.10445",
}
LOOK = "features"
COST = 0.1
CAPABILITIES = {"energy"}
USES = {"features": {"embed"}}
SETTINGS = {
    "bank_size": 2000,
    "candidates": 50000,
    "projected": 128,
    "patch": 3,
    "nearest": 1,
    "batch_size": 64,
}
ALLOWED = {
    "bank_size": "1..",
    "candidates": "1..",
    "projected": "1..",
    "patch": "1..",
    "nearest": "1..",
    "batch_size": "1..",
}
TOGETHER = {
    "patch % 2 == 1": "must be odd, so that it has a centre",
    "nearest <= bank_size": "the bank has no more entries",
}
MEANING = {
    "bank_size": "most entries of the bank",
    "candidates": "features that entries are chosen from, drawn at random",
    "projected": "numbers of the random projections that the choice goes by",
    "patch": "side of the neighbourhood that a feature is a mean over, odd [places]",
    "nearest": "nearest entries that a distance is a mean over",
}


class Model(BaseModel):
    """A bank (entries, features) on the features of ``uses["features"]``."""

    phases = ("fit",)
    FITTED = frozenset({"bank"})

    def __init__(
        self,
        shape: SliceShape,
        *,
        bank_size: int = 2000,
        candidates: int = 50000,
        projected: int = 128,
        patch: int = 3,
        nearest: int = 1,
        **settings: Any,
    ):
        super().__init__(shape, **settings)
        if patch % 2 == 0:
            raise ConfigError(f"patch: found {patch}; must be odd, so that it has a centre")
        if nearest > bank_size:
            raise ConfigError(
                f"nearest: found {nearest}; the bank has at most {bank_size} entries (bank_size)"
            )
        self.bank_size, self.candidates, self.nearest = bank_size, candidates, nearest
        self.projected, self.patch = projected, patch
        self.register_buffer("bank", torch.zeros(0, 0))

    def limits(self, phase: str) -> dict[str, int]:
        return {"max_epochs": 0}

    def finish_phase(self, phase: str, batches: Batches) -> dict[str, float] | None:
        """Fill the bank; ``radius``: the largest (projected) distance of a candidate to it."""
        found = draw_vectors(self._vectors(batches), self.candidates)
        chosen, radius = cover(project(found, self.projected), self.bank_size)
        self.bank = found[chosen].contiguous()
        return {"entries": float(len(chosen)), "radius": radius}

    def _vectors(self, batches: Batches) -> Iterator[Tensor]:
        for batch in batches():
            yield _rows(self._features(batch.slices))

    def _features(self, slices: Tensor) -> Tensor:
        """Features of neighbourhoods (n, features, rows, columns)."""
        found = self.used("features").embed(slices)
        reach = self.patch // 2
        return functional.avg_pool2d(found, self.patch, 1, reach, count_include_pad=False)

    def energy(self, slices: Tensor) -> Tensor:
        """Distances to the nearest of the bank (n, size, size), at least 0."""
        found = self._features(slices)
        distance = nearest_distance(_rows(found), self.bank, self.nearest)
        coarse = distance.view(len(found), 1, *found.shape[2:])
        size = slices.shape[-2:]
        return functional.interpolate(coarse, size, mode="bilinear", align_corners=False).squeeze(1)


def _rows(features: Tensor) -> Tensor:
    """(n, features, rows, columns) -> (n rows columns, features)."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)
