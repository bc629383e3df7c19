"""Semi-supervised segmentation: a labelled source domain, a target domain without labels.

Source: Baur, Albarqouni and Navab 2017, "Semi-supervised deep learning for fully convolutional
networks", as summed up in the thesis (Baur 2021, section 2.4.2): a U-Net that segments lesions has
an auxiliary loss on features of both domains ("random feature embedding"): the vectors of a few
places are drawn from the high-dimensional features; those which share adjacency are pulled
together, others pushed apart (Weston et al. 2008).

Adjacent are places of the same class, in either domain. The thesis speaks of "different types of
priors" for the adjacency and does not say which; here the target domain's labels are never used:
its classes are what the model itself takes for a lesion, a noisy prior. So the model first learns
from the labels alone (phase ``supervised``), then from both domains (``adaptation``). Neither given
there are the features (here the last before the output), the distance (cosine) with its ``margin``,
how many places are drawn (``samples`` of each domain, inside its brain, ``lesion_share`` of them
from lesions as far as there are), the weight of the loss and that of segmentation (Dice). Early
stopping goes by the overlap on held-out labelled slices, of the source domain.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscan.models.base import Updates
from normscan.models.parts.overlap import batch_dice_loss, dice_losses
from normscan.models.parts.pairs import draw_places, embedding_loss
from normscan.models.parts.translating import ImageModel
from normscan.networks.layers import full_precision
from normscan.slices.batch import Batch, SliceShape

TITLE = "semi-supervised FCN"
CITE = ["baur2017"]
LOOK = "supervised"
COST = 24.0
CAPABILITIES = {"segment"}
PARTS = {"image_to_image"}
STREAMS = ("main", "unlabelled")
LAYERS = {"main": {"brain", "lesion"}, "unlabelled": {"brain"}}
SETTINGS = {
    "network": "unet",
    "depth": 4,
    "width": 32,
    "samples": 256,
    "lesion_share": 0.2,
    "margin": 1.0,
    "embedding_weight": 1.0,
    "learning_rate": 1e-4,
    "batch_size": 32,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "depth": "1..",
    "width": "1..",
    "samples": "2..",
    "lesion_share": "0..1",
    "margin": ">0..2",
    "embedding_weight": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "samples": "places that are drawn from each domain",
    "lesion_share": "share of the places that is drawn from lesions, as far as there are",
    "margin": "cosine distance that places of different classes are to have",
    "embedding_weight": "weight of the embedding's loss; the Dice's is 1",
}
# For tests of all families.
CHECKED_WITH = {"depth": 2, "width": 4, "learning_rate": 1e-2, "max_epochs": 25}
# A place is a lesion of the noisy prior from this probability on.
LESION = 0.5


class Model(ImageModel):
    """A network from slices to one number per pixel, the log odds of a lesion."""

    phases = ("supervised", "adaptation")

    def __init__(
        self,
        shape: SliceShape,
        *,
        samples: int = 256,
        lesion_share: float = 0.2,
        margin: float = 1.0,
        embedding_weight: float = 1.0,
        **settings: Any,
    ):
        super().__init__(shape, 1, **settings)
        self.samples, self.lesion_share = samples, lesion_share
        self.margin, self.embedding_weight = margin, embedding_weight

    def segment(self, slices: Tensor) -> Tensor:
        """Probabilities of a lesion (n, size, size)."""
        return self.network(slices).sigmoid().squeeze(1)

    def training_step(self, phase: str, batch: Batch[Tensor], update: Updates) -> dict[str, Tensor]:
        losses = self.losses(batch) if phase == "adaptation" else self._supervised(batch)
        update("main", losses["loss"])
        return losses

    def _supervised(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        error = _overlap(self.segment(batch.slices), batch)
        return {"loss": error, "overlap": error}

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Of both domains: ``overlap`` of the labelled slices, ``embedding`` of features of all."""
        other = batch.others["unlabelled"]
        features = self.network.features(torch.cat([batch.slices, other.slices]))
        logits = full_precision(self.network.head(features)).squeeze(1)
        overlap = _overlap(logits[: len(batch)].sigmoid(), batch)
        prior = logits.detach()[len(batch) :].sigmoid() >= LESION
        parts = [features[: len(batch)], features[len(batch) :]]
        drawn = [
            self._draw(part, lesion, one.layers["brain"] > 0)
            for part, lesion, one in zip(parts, (_lesion(batch), prior), (batch, other))
        ]
        embedding = self._embedding(*(torch.cat(one) for one in zip(*drawn)))
        loss = overlap + self.embedding_weight * embedding
        return {"loss": loss, "overlap": overlap, "embedding": embedding}

    def _draw(self, features: Tensor, lesion: Tensor, brain: Tensor) -> tuple[Tensor, Tensor]:
        """Feature vectors of drawn places (m, features) and whether each is a lesion (m,)."""
        places = draw_places(lesion, brain, self.samples, self.lesion_share)
        vectors = features.permute(0, 2, 3, 1).flatten(0, 2)[places]
        return full_precision(vectors), lesion.flatten()[places]

    def _embedding(self, vectors: Tensor, lesion: Tensor) -> Tensor:
        if len(vectors) < 2:
            return vectors.sum() * 0
        # Small distances are small differences, which half precision would round away.
        with torch.autocast(vectors.device.type, enabled=False):
            return embedding_loss(vectors, lesion[:, None] == lesion[None], self.margin)

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """One minus the overlap with the labels of each slice (n,)."""
        found, truth = self.segment(batch.slices), _lesion(batch)
        return dice_losses(found.flatten(1), truth.float().flatten(1))


def _lesion(batch: Batch[Tensor]) -> Tensor:
    return batch.layers["lesion"] > 0


def _overlap(probability: Tensor, batch: Batch[Tensor]) -> Tensor:
    return batch_dice_loss(probability, _lesion(batch).float())
