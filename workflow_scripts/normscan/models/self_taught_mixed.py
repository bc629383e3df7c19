"""Self-taught segmentation with a few annotated patients beside the pseudo-labels.

Source: Baur et al. 2019, as :mod:`normscan.models.self_taught`; there the "semi-supervised
setting": "a small amount of data with ground-truth annotations and larger quantities of unlabeled
data with labels predicted by the UAS approach" (Baur 2021, section 3.5.2).

The annotated patients are the stream ``annotated``, of which every batch has as many slices as of
pseudo-labelled ones; ``annotated_weight`` is the weight of their loss. How both are mixed is not
given in the thesis: equal parts, since few annotated slices would drown among many others. Early
stopping goes by pseudo-labels, so that no annotated patient has to be held out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.models.parts.labelled import Taught
from normscan.slices.batch import Batch, SliceShape
from normscan.streams import PSEUDO

TITLE = "self-taught U-Net with annotated patients"
PAGE = "self_taught"
CITE = {
    "baur2019": "Baur C, Wiestler B, Albarqouni S, Navab N. Fusing unsupervised and "
    "supervised deep learning for white matter lesion segmentation. Proceedings of Machine "
    "Learning Research 102 (MIDL), 63-72, 2019. https://proceedings.mlr.press/v102/baur19a.html"
}
LOOK = "supervised"
COST = 24.0
CAPABILITIES = {"segment"}
PARTS = {"image_to_image"}
STREAMS = ("unlabelled", "annotated")
LAYERS = {"unlabelled": {"pseudo"}, "annotated": {"lesion"}}
SETTINGS = {
    "network": "unet",
    "depth": 4,
    "width": 32,
    "cross_entropy_weight": 1.0,
    "annotated_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 32,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "depth": "1..",
    "width": "1..",
    "cross_entropy_weight": "0..",
    "annotated_weight": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "cross_entropy_weight": "weight of the cross entropy; the Dice's is 1",
    "annotated_weight": "weight of the loss of true labels; that of pseudo-labels is 1",
}
# For tests of all families.
CHECKED_WITH = {"depth": 2, "width": 4, "learning_rate": 1e-2, "max_epochs": 25}


class Model(Taught):
    """The same network with a second loss, of true labels."""

    def __init__(self, shape: SliceShape, *, annotated_weight: float = 1.0, **settings: Any):
        super().__init__(shape, **settings)
        self.annotated_weight = annotated_weight

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Those of the pseudo-labels and, as ``annotated``, that of the true ones."""
        other = batch.others["annotated"]
        logits = self.network(torch.cat([batch.slices, other.slices]))
        found = self.label_losses(logits[: len(batch)], batch, PSEUDO)
        true = self.label_losses(logits[len(batch) :], other, "lesion")["loss"]
        loss = found["loss"] + self.annotated_weight * true
        return {**found, "loss": loss, "annotated": true}
