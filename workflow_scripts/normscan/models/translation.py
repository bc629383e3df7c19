"""Contrasts predicted from other contrasts: what does not follow from them is abnormal.

Source: Bowles et al. 2017, "Brain lesion segmentation through image synthesis and outlier
detection": a FLAIR image as it would be in health is synthesised from the T1w image of the same
patient, where lesions are faint, and compared with the real one. They regress by kernels on patches
of the image and then model the errors; here a U-Net regresses whole slices (L1 error, as the other
families have it) and the residual is the map. Kim et al. 2021 have a bigger network of this kind,
which predicts each of four contrasts from the three others, inside a density model: that is another
family. Not given in either: ``depth`` 4 and ``width`` 32 of the U-Net (half the published width,
which is meant for segmentation with much augmentation).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from normscan.models.base import l1_error
from normscan.models.parts.translating import ImageModel
from normscan.slices.batch import Batch, SliceShape

TITLE = "contrast translation"
CITE = ["bowles2017"]
LOOK = "translation"
COST = 4.0
CAPABILITIES = {"reconstruct"}
PARTS = {"image_to_image"}
TRANSLATES = True
SETTINGS = {
    "network": "unet",
    "depth": 4,
    "width": 32,
    "learning_rate": 1e-4,
    "batch_size": 64,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "depth": "1..",
    "width": "1..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}


class Model(ImageModel):
    """A network from inputs to targets."""

    def __init__(self, shape: SliceShape, **settings: Any):
        super().__init__(shape, shape.targets, **settings)

    def reconstruct(self, slices: Tensor) -> Tensor:
        """Targets (n, targets, size, size) that go with inputs (n, inputs, size, size)."""
        return self.network(slices)

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        error = l1_error(self, batch).mean()
        return {"loss": error, "reconstruction": error}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """L1 error per pixel (n,)."""
        return l1_error(self, batch)
