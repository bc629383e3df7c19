"""What families share that go from images to images: the network and its optimiser."""

from __future__ import annotations

import torch

from normscan.models.base import BaseModel, adam
from normscan.networks import registry as networks
from normscan.slices.batch import SliceShape


class ImageModel(BaseModel):
    """A network with the part ``image_to_image``.

    Parameters
    ----------
    outputs : channels of the images that come out.
    network : its name; ``settings`` are its own.
    """

    def __init__(
        self,
        shape: SliceShape,
        outputs: int,
        *,
        network: str,
        learning_rate: float,
        **settings: int,
    ):
        super().__init__(shape)
        self.learning_rate = learning_rate
        make = networks.load(network).make_image_to_image
        self.network = make(shape.inputs, outputs, shape.size, **settings)

    def optimisers(self, phase: str) -> dict[str, torch.optim.Optimizer]:
        return {"main": adam(self.trainable(), self.learning_rate)}
