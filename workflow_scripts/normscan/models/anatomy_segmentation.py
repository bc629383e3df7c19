"""Segmentation of normal anatomical classes, by which reconstructions are judged.

Source: Kobayashi et al. 2021, sections II-D and III-C.5: a residual U-Net is trained on label maps
of 13 anatomical classes with soft Dice and focal loss, Adam at a learning rate and weight decay of
1e-5, 100 slices a batch, 1,000 epochs, random rotation; of the epochs the best on held-out scans
counts. It finds no lesions: how sure it is of a reconstruction's pixels, and where it finds which
class there, say how faithful the reconstruction is (:mod:`normscan.evaluation.fidelity`).

Assumed, since the paper leaves it open: MONAI's residual U-Net in the place of ResUNet-a, its depth
and width; the range of the rotation; that background is a class of both losses, which count alike
(focal loss with gamma 2, Lin et al. 2017); Dice over a batch as a whole (one is added to both sides
of its fraction), since many slices lack a class.
"""

from __future__ import annotations

from typing import Any

import torch
from monai.losses.dice import DiceLoss
from monai.losses.focal_loss import FocalLoss
from torch import Tensor
from torch.nn import functional

from normscan.models.parts.translating import ImageModel
from normscan.slices.batch import Batch, SliceShape

TITLE = "segmentation of anatomical classes"
CITE = {
    "kobayashi2021": "Kobayashi K, Hataya R, Kurose Y, et al. Learning global and local features "
    "of normal brain anatomy for unsupervised abnormality detection. arXiv:2005.12573, 2021. "
    "https://arxiv.org/abs/2005.12573"
}
LOOK = "supervised"
COST = 12.0
CAPABILITIES = {"classify_anatomy"}
PARTS = {"image_to_image"}
STREAMS = ("anatomy",)
LAYERS = {"anatomy"}
SETTINGS = {
    "classes": 13,
    "network": "monai_unet",
    "depth": 4,
    "width": 32,
    "rotation": 15.0,
    "learning_rate": 1e-5,
    "weight_decay": 1e-5,
    "batch_size": 100,
    "max_epochs": 1000,
    "patience": 1000,
    "precision": "auto",
}
ALLOWED = {
    "classes": "1..255",
    "depth": "1..",
    "width": "1..",
    "rotation": "0..180",
    "learning_rate": ">0..",
    "weight_decay": "0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
MEANING = {
    "classes": "of the label maps, background aside",
    "rotation": "largest random rotation of training slices, either way; 0: none [degrees]",
}
# For tests of all families.
CHECKED_WITH = {"classes": 3, "depth": 2, "width": 4, "learning_rate": 1e-2, "max_epochs": 25}
# Added to both sides of the Dice's fraction: of an absent class, no pixel is right.
SMOOTH = 1.0


class Model(ImageModel):
    """A network from slices to the log odds of every class at each pixel, background first."""

    def __init__(
        self,
        shape: SliceShape,
        *,
        classes: int = 13,
        rotation: float = 15.0,
        weight_decay: float = 1e-5,
        **settings: Any,
    ):
        super().__init__(shape, classes + 1, **settings)
        self.rotation, self.weight_decay = rotation, weight_decay
        # (MONAI's DiceFocalLoss has the focal loss of independent classes, whatever its Dice's.)
        self.batch_dice = DiceLoss(
            to_onehot_y=True, softmax=True, batch=True, smooth_nr=SMOOTH, smooth_dr=SMOOTH
        )
        self.slice_dice = DiceLoss(
            to_onehot_y=True, softmax=True, reduction="none", smooth_nr=SMOOTH, smooth_dr=SMOOTH
        )
        self.pixel_focal = FocalLoss(to_onehot_y=True, use_softmax=True, reduction="none")

    def classify_anatomy(self, slices: Tensor) -> Tensor:
        """Probabilities (n, 1 + classes, size, size) of background and of the classes, float32."""
        return self.network(slices).float().softmax(dim=1)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        rate, decay = self.learning_rate, self.weight_decay
        return {"main": torch.optim.Adam(self.trainable(), lr=rate, weight_decay=decay)}

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        """Soft Dice loss of the batch and the mean focal loss of its pixels, of rotated slices."""
        slices, labels = rotated(batch.slices, batch.layers["anatomy"], self.rotation)
        logits = self.network(slices)
        dice = self.batch_dice(logits, labels[:, None])
        focal = self._focal(logits, labels[:, None]).mean()
        return {"loss": dice + focal, "dice": dice, "focal": focal}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """The same of each slice (n,), as it is."""
        logits, labels = self.network(batch.slices), batch.layers["anatomy"][:, None].long()
        dice = self.slice_dice(logits, labels).flatten(1).mean(dim=1)
        return dice + self._focal(logits, labels)

    def _focal(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Focal loss of each slice (n,), the mean over its pixels."""
        return self.pixel_focal(logits, labels).sum(dim=1).flatten(1).mean(dim=1)


def rotated(slices: Tensor, labels: Tensor, most: float) -> tuple[Tensor, Tensor]:
    """Slices (n, channels, size, size) and labels (n, size, size), each turned by an angle.

    Angles are drawn uniformly up to ``most`` degrees to either side, from torch's global generator;
    slices are interpolated linearly, labels by nearest neighbour, and 0 comes in from outside.

    Returns
    -------
    slices, labels : labels as int64.
    """
    if not most:
        return slices, labels.long()
    drawn = torch.rand(len(slices), device=slices.device)
    angle = torch.deg2rad((2 * drawn - 1) * most)
    sine, cosine, none = angle.sin(), angle.cos(), torch.zeros_like(angle)
    matrices = torch.stack([cosine, -sine, none, sine, cosine, none], dim=1).reshape(-1, 2, 3)
    grid = functional.affine_grid(matrices, list(slices.shape), align_corners=False)
    images = functional.grid_sample(slices, grid, align_corners=False)
    numbers = labels[:, None].to(slices.dtype)
    turned = functional.grid_sample(numbers, grid, mode="nearest", align_corners=False)
    return images.contiguous(memory_format=torch.channels_last), turned[:, 0].long()
