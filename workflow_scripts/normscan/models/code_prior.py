"""Autoregressive prior of code maps: how likely each code is, given those above and to the left.

Source: Oord et al. 2017, section 3.3 (a PixelCNN on the codes of a trained, frozen VQ-VAE), for
anomalies Marimont and Tarroni 2021 and, as a baseline, Chatterjee et al. 2022 (section 2.5). It is
the gated PixelCNN of Oord et al. 2016 (:mod:`normscan.models.parts.gated`); Marimont and Tarroni
have a PixelSNAIL, which adds attention over all places before, with 128 features, and the axial
position as a condition, which detection does not hand to models. Not given in the papers, chosen:
a learned bias for each place, and depth and width such that a place of a map of 16x16 codes sees
half of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from normscan.models.base import BaseModel, adam
from normscan.models.parts.gated import PixelCNN
from normscan.networks.layers import full_precision
from normscan.slices.batch import Batch, SliceShape

TITLE = "autoregressive prior of code maps"
PAGE = "vqvae"
CITE = ["oord2016", "oord2017", "marimont2021"]
LOOK = "quantised"
COST = 1.0
CAPABILITIES = {"quantise", "code_likelihood"}
USES = {"coder": {"quantise"}}
SETTINGS = {
    "width": 64,
    "depth": 8,
    "dropout": 0.1,
    "learning_rate": 3e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "width": "1..",
    "depth": "1..",
    "dropout": "0..<1",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "width": "features of either stack",
    "depth": "gated layers",
    "dropout": "rate in each gated layer",
}
CHECKED_WITH = {"width": 8, "depth": 1, "learning_rate": 5e-3, "max_epochs": 20}
CHECKED_AT = 32


class Model(BaseModel):
    """A PixelCNN on the codes of ``uses["coder"]``."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        uses: Mapping[str, BaseModel],
        width: int = 64,
        depth: int = 8,
        dropout: float = 0.1,
        learning_rate: float = 3e-4,
        **settings: Any,
    ):
        super().__init__(shape, uses=uses, **settings)
        self.learning_rate = learning_rate
        self.pixels = PixelCNN(self.code_grid(), width, depth, dropout)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.trainable(), self.learning_rate)}

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        return {"loss": self._errors(batch).mean()}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """Mean negative log likelihood (nats) of each slice's codes (n,)."""
        return self._errors(batch)

    def _errors(self, batch: Batch[Tensor]) -> Tensor:
        return self.code_surprise(self.code_maps(batch.slices)).flatten(1).mean(dim=1)

    def code_grid(self) -> tuple[int, int, int]:
        """As of the coder."""
        return self.used("coder").code_grid()

    @torch.no_grad()
    def code_maps(self, slices: Tensor) -> Tensor:
        """As of the coder."""
        return self.used("coder").code_maps(slices)

    def decode_codes(self, codes: Tensor) -> Tensor:
        """As of the coder."""
        return self.used("coder").decode_codes(codes)

    def code_surprise(self, codes: Tensor) -> Tensor:
        """Negative log likelihood (nats) of each code (n, rows, columns)."""
        return surprise_of(self._logits(codes).flatten(2), codes.flatten(1)).view(codes.shape)

    def _logits(self, codes: Tensor) -> Tensor:
        return full_precision(self.pixels(codes))

    @torch.no_grad()
    def resample_codes(self, codes: Tensor, thresholds: Tensor, uniforms: Tensor) -> Tensor:
        """Maps in which surprising codes are drawn anew, one after the other, in row order.

        Codes between two that are drawn stay what they are, so one pass says where the next one
        is: each map takes as many passes as it has codes to draw, and all maps go at once, each
        from one of its own places to the next. The result is that of asking at every place.
        """
        shape, places = codes.shape, codes[0].numel()
        found, uniforms = codes.flatten(1).clone(), uniforms.flatten(1)
        limits = thresholds.expand(shape).flatten(1)
        order = torch.arange(places, device=codes.device)
        going = torch.arange(len(codes), device=codes.device)
        last = torch.full_like(going, -1)
        while len(going):
            own = found[going]
            logits = self._logits(own.view(-1, *shape[1:])).flatten(2)
            due = (surprise_of(logits, own) > limits[going]) & (order > last[:, None])
            place = torch.where(due, order, places).amin(dim=1)
            more = place < places
            going, last = going[more], place[more]
            chosen = logits[more].gather(2, last.view(-1, 1, 1).expand(-1, logits.shape[1], 1))
            found[going, last] = draw(chosen.squeeze(2), uniforms[going, last])
        return found.view(shape)


def surprise_of(logits: Tensor, codes: Tensor) -> Tensor:
    """Negative log likelihoods (n, places) of codes under logits (n, codes, places)."""
    # As rows: of maps, GPUs have no way that gives the same bits every time.
    rows = logits.transpose(1, 2).flatten(0, 1)
    found = functional.cross_entropy(rows, codes.flatten(), reduction="none")
    return found.view(codes.shape)


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Codes (n,) drawn by inverting the distribution of logits (n, codes) at ``uniforms`` (n,)."""
    likely = logits.double().softmax(dim=1)
    # Sums up to each code; a matrix product, since cumulative sums vary on GPUs.
    below = likely @ likely.new_ones(2 * likely.shape[1:]).triu()
    code = (below <= uniforms[:, None].double()).sum(dim=1)
    # Rounding may end the sums below 1.
    return code.clamp_max(logits.shape[1] - 1)
