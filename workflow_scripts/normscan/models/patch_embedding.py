"""Patch embedding: a network that tells patches of normal slices apart, learned from triplets.

Source: Kobayashi et al. 2021, sections II-C (Eq. 8) and III-C.4: the discriminative network. The
triplet margin loss

    max(d(f(p), f(p+)) - d(f(p), f(p-)) + 1, 0)

with the L2 distance d, on patches p of 32 x 32 pixels of normal slices: a positive p+ is p after a
small random affine transform and small changes of intensity and range, a negative p- another random
crop of the same slice. Adam. The network: :mod:`normscan.networks.patches`.

Not given in the paper, assumed: how small the changes are; learning rate, batch size, triplets of a
slice; that patches have some foreground (``foreground``); the offset of intensities leaves the
background 0; early stopping, by the triplet loss of the same patches of held-out slices after every
epoch. The paper brings slices to [-1, 1]; here they stay as they are, since without padding the
first layer learns any linear map of its inputs itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from normscan.errors import ConfigError
from normscan.models.base import BaseModel, adam
from normscan.models.parts.triplets import Changes, draw_triplets
from normscan.networks.patches import PatchNetwork
from normscan.slices.batch import Batch, SliceShape

TITLE = "patch embedding"
CITE = {
    "kobayashi2021": "Kobayashi K, Hataya R, Kurose Y, et al. Learning global and local features "
    "of normal brain anatomy for unsupervised abnormality detection. arXiv:2005.12573, 2021. "
    "https://arxiv.org/abs/2005.12573",
    "balntas2016": "Balntas V, Riba E, Ponsa D, Mikolajczyk K. Learning local feature descriptors "
    "with triplets and shallow convolutional neural networks. British Machine Vision Conference, "
    "2016.",
    "giusti2013": "Giusti A, Ciresan DC, Masci J, Gambardella LM, Schmidhuber J. Fast image "
    "scanning with deep max-pooling convolutional neural networks. IEEE International Conference "
    "on Image Processing, 2013. https://arxiv.org/abs/1302.1700",
}
LOOK = "features"
COST = 3.5
CAPABILITIES = {"embed_patches"}
SETTINGS: dict[str, Any] = {
    "patch": 32,
    "filters": [64, 128, 256, 512],
    "hidden": 1024,
    "embedding": 256,
    "margin": 1.0,
    "patches": 8,
    "foreground": 0.25,
    "translation": 2.0,
    "rotation": 10.0,
    "scaling": 0.1,
    "gain": 0.1,
    "offset": 0.05,
    "learning_rate": 1e-4,
    "batch_size": 16,
    "max_epochs": 1000,
    "patience": 5,
    "precision": "auto",
}
ALLOWED = {
    "patch": "whole 2..",
    "filters": "each whole 1..",
    "hidden": "whole 1..",
    "embedding": "whole 1..",
    "margin": ">0..",
    "patches": "whole 1..",
    "foreground": "0..1",
    "translation": "0..",
    "rotation": "0..180",
    "scaling": "0..<1",
    "gain": "0..<1",
    "offset": "0..",
    "learning_rate": ">0..",
    "batch_size": "1..",
    "max_epochs": "1..",
    "patience": "1..",
    "precision": ["auto", "float32", "bfloat16", "float16"],
}
TOGETHER = {
    "patch < size": "must be smaller than the slices, of which negatives are other patches",
    "2 * patches <= (size - patch + 1) ** 2 or patch >= size": "each triplet "
    "takes two different patches of a slice, which has fewer",
    "patch % 2 ** len(filters) == 0": "cannot be halved so often, once for each of filters",
}
MEANING = {
    "patch": "side of a patch; can be halved once for each of filters [pixels]",
    "filters": "of each residual block",
    "hidden": "entries of the layer before the embedding",
    "embedding": "entries of an embedding",
    "margin": "by which a negative is to be further away than a positive",
    "patches": "triplets of each slice in a batch",
    "foreground": "least share of a patch that is not background",
    "translation": "largest shift of a positive [pixels]",
    "rotation": "largest rotation of a positive [degrees]",
    "scaling": "largest change of a positive's size [share]",
    "gain": "largest change of a positive's range of intensities [share]",
    "offset": "largest change of a positive's intensities [units of intensity]",
}
CHECKED_WITH = {"patch": 8, "filters": [8, 16], "hidden": 32, "embedding": 16}
# Of the patches that are validated on.
SEED = 0


class Model(BaseModel):
    """The network and its triplets.

    Raises
    ------
    ConfigError : patches do not fit into slices, or so many different ones; a patch's side cannot
        be halved for each block.
    """

    def __init__(
        self,
        shape: SliceShape,
        *,
        patch: int = 32,
        filters: list[int] | None = None,
        hidden: int = 1024,
        embedding: int = 256,
        margin: float = 1.0,
        patches: int = 8,
        foreground: float = 0.25,
        translation: float = 2.0,
        rotation: float = 10.0,
        scaling: float = 0.1,
        gain: float = 0.1,
        offset: float = 0.05,
        learning_rate: float = 1e-4,
    ):
        super().__init__(shape)
        if not patch < shape.size:
            raise ConfigError(
                f"patch: found {patch}; must be smaller than slices.size, which is {shape.size}, "
                "since negatives are other patches of the same slice"
            )
        if 2 * patches > (places := (shape.size - patch + 1) ** 2):
            raise ConfigError(
                f"patches: found {patches}; slices of {shape.size} pixels have {places} different "
                f"patches of {patch}, and each triplet takes two; choose fewer"
            )
        filters = SETTINGS["filters"] if filters is None else filters
        self.patch, self.patches, self.foreground = patch, patches, foreground
        self.changes = Changes(translation, rotation, scaling, gain, offset)
        self.margin, self.learning_rate = margin, learning_rate
        self.network = PatchNetwork(shape.inputs, patch, filters, hidden, embedding)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.trainable(), self.learning_rate)}

    def losses(self, batch: Batch[Tensor]) -> dict[str, Tensor]:
        return {"loss": self._errors(batch.slices).mean()}

    def validation_loss(self, phase: str, batch: Batch[Tensor]) -> Tensor | None:
        """Triplet loss of each slice (n,), of the same patches every time."""
        return self._errors(batch.slices, torch.Generator().manual_seed(SEED))

    def _errors(self, slices: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean triplet loss of each slice (n,)."""
        kinds = draw_triplets(
            slices, self.patch, self.patches, self.changes, self.foreground, generator
        )
        embedded = self.network(torch.cat(kinds)).flatten(1).chunk(3)
        errors = functional.triplet_margin_loss(*embedded, margin=self.margin, reduction="none")
        return errors.unflatten(0, (-1, self.patches)).mean(dim=1)

    def patch_side(self) -> int:
        """Pixels."""
        return self.patch

    def embed_patches(self, images: Tensor, stride: int = 1) -> Tensor:
        """Embeddings of all patches inside of images (n, embedding, rows, columns).

        Raises
        ------
        ConfigError : a stride that is no power of two; images of other channels.
        """
        if images.shape[1] != self.shape.inputs:
            raise ConfigError(
                f"inputs: a model that embeds patches of {self.shape.inputs} contrasts is given "
                f"{images.shape[1]}; train it on the contrasts that the approach's model predicts"
            )
        return self.network(images, stride)
