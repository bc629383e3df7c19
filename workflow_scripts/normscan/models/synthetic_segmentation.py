"""Segmentation of synthetic anomalies: a U-Net that finds what was pasted into healthy slices.

Sources, by ``anomaly``: ``fpi``, foreign patch interpolation (Tan et al. 2020, section 3); ``pii``,
Poisson image interpolation (Tan et al. 2021, section 2); ``nsa``, natural synthetic anomalies
(Schlueter et al. 2022, section 3); ``dag``, shape, texture and intensity drawn each for itself
(Naval Marimont et al. 2024); ``mixed``, one of them for each slice. Labels of the first two are the
interpolation factor, of the others they rise with the change of intensity. How slices are
corrupted: :mod:`normscan.models.parts.corruptions`.

Assumed: cross entropy, which the papers have, and Dice for soft labels (Wang et al. 2023) count
alike; the U-Net and its width; early stopping by the same losses on held-out healthy slices, which
are corrupted in the same way in every epoch.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from normscan.models.parts.corruptions import corrupt
from normscan.models.parts.draws import Draws
from normscan.models.parts.overlap import soft_label_dice_loss, soft_label_dice_losses
from normscan.models.parts.translating import ImageModel
from normscan.slices.batch import Batch, SliceShape

TITLE = "segmentation of synthetic anomalies"
CITE = {
    "tan2022": "Tan J, Hou B, Batten J, Qiu H, Kainz B. Detecting outliers with foreign patch "
    "interpolation. Machine Learning for Biomedical Imaging 1, 2022. "
    "https://arxiv.org/abs/2011.04197",
    "tan2021": "Tan J, Hou B, Day T, Simpson J, Rueckert D, Kainz B. Detecting outliers with "
    "Poisson image interpolation. MICCAI 2021, Lecture Notes in Computer Science 12905:581–591. "
    "https://doi.org/10.1007/978-3-030-87240-3_56",
    "schlueter2022": "Schlüter HM, Tan J, Hou B, Kainz B. Natural synthetic anomalies for "
    "self-supervised anomaly detection and localization. ECCV 2022, Lecture Notes in Computer "
    "Science 13691:474–489. https://doi.org/10.1007/978-3-031-19821-2_27",
    "wang2023": "Wang Z, Popordanoska T, Bertels J, Lemmens R, Blaschko MB. Dice semimetric "
    "losses: optimizing the Dice score with soft labels. MICCAI 2023. https://arxiv.org/abs/2303.16296",
}
LOOK = "synthesis"
COST = 12.0
CAPABILITIES = {"segment"}
PARTS = {"image_to_image"}
SETTINGS = {
    "anomaly": "mixed",
    "dice_weight": 1.0,
    "network": "unet",
    "depth": 4,
    "width": 32,
    "learning_rate": 1e-3,
    "batch_size": 32,
    "max_epochs": 1000,
    "patience": 10,
    "precision": "auto",
}
ALLOWED = {
    "anomaly": ["fpi", "pii", "nsa", "dag", "mixed"],
    "dice_weight": "0..",
    "depth": "1..",
    "width": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "anomaly": "how anomalies are made: fpi, pii, nsa or dag after its paper, or one of them for "
    "each slice",
    "dice_weight": "weight of the Dice; the cross entropy's is 1. 0: cross entropy alone",
}
# For tests of all families.
CHECKED_WITH = {"depth": 2, "width": 4, "learning_rate": 1e-2, "max_epochs": 40, "patience": 40}


class Model(ImageModel):
    """A network from slices to the log odds of an anomaly at each pixel."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        anomaly: str = "mixed",
        dice_weight: float = 1.0,
        **settings: Any,
    ):
        super().__init__(shape, 1, **settings)
        self.anomaly, self.dice_weight = anomaly, dice_weight

    def segment(self, slices: Tensor) -> Tensor:
        """Probabilities of an anomaly (n, size, size)."""
        return self.network(slices).sigmoid().squeeze(1)

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Of the batch, corrupted: ``overlap`` and ``cross_entropy``, and their weighted sum."""
        logits, labels = self._of_corrupted(batch)
        entropy = binary_cross_entropy_with_logits(logits, labels)
        overlap = soft_label_dice_loss(logits.sigmoid(), labels)
        loss = entropy + self.dice_weight * overlap
        return {"loss": loss, "overlap": overlap, "cross_entropy": entropy}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """The same of each slice (n,)."""
        logits, labels = self._of_corrupted(batch)
        entropy = binary_cross_entropy_with_logits(logits, labels, reduction="none")
        overlap = soft_label_dice_losses(logits.sigmoid().flatten(1), labels.flatten(1))
        return entropy.flatten(1).mean(dim=1) + self.dice_weight * overlap

    def _of_corrupted(self, batch: Batch[Tensor]) -> tuple[Tensor, Tensor]:
        """Log odds (n, size, size) of the batch, corrupted, and the labels.

        Random numbers are the global ones, which the training loop seeds alike before each
        validation.
        """
        made = corrupt(batch.slices, self.anomaly, Draws(batch.slices.device))
        return self.network(made.slices).squeeze(1), made.labels
