"""What augmentation costs: per batch, per transform, and against TorchIO called slice by slice.

``TorchIO`` composes its random transforms with the same values and calls them for every slice.
Prints milliseconds per batch and ratios; a training hides them where a step takes longer, since
batches are made beside it.
"""

from __future__ import annotations

import numpy as np
import torch
from common import options, paired, setup, table

from normscan.models import registry
from normscan.models.base import Updates
from normscan.slices.augmentation import TRANSFORMS, Augmentation
from normscan.slices.batch import Batch


def by_torchio():
    """The same transforms as TorchIO composes them."""
    import torchio

    half = {"p": 0.5}
    return torchio.Compose(
        [
            torchio.RandomFlip(axes=(0, 1), **half),
            torchio.RandomAffine(0.1, (0, 0, 35), image_interpolation="nearest", **half),
            torchio.RandomAffine(0, (0, 0, 15), **half),
            torchio.RandomBiasField(0.5, 3, **half),
            torchio.RandomGamma(0.3, **half),
            torchio.RandomGhosting((4, 10), (0, 1), **half),
            torchio.RandomNoise(0, (0, 0.25), **half),
        ]
    )


def main() -> None:
    arguments = options(__doc__, size=256, batch=64)
    device = setup(arguments)
    shape = (arguments.batch, 1, arguments.size, arguments.size)
    images = np.random.default_rng(0).random(shape, np.float32)
    batch, numbers = Batch.of(images), np.arange(arguments.batch)
    compose = by_torchio()
    model = registry.build("vae", (1, 1, arguments.size)).to(device).train()
    update = Updates(model.optimisers("main"))
    learnt = Batch.of(torch.from_numpy(images).to(device))

    def ours(transforms, threads=1):
        changed = Augmentation(transforms, threads)
        return lambda: changed(batch, numbers, (0, 0, 0))

    runs = {
        "all": ours(TRANSFORMS),
        f"all, {arguments.threads} threads": ours(TRANSFORMS, arguments.threads),
        "TorchIO": lambda: [compose(torch.from_numpy(image)[..., None]) for image in images],
        "a training step of the VAE": lambda: model.training_step("main", learnt, update),
        **{name: ours({name: one}) for name, one in TRANSFORMS.items()},
    }
    seconds = paired(runs, arguments.repeats, device, clock=arguments.clock)
    rows = [
        {
            "what": name,
            f"ms a batch ({arguments.clock})": 1000 * value,
            "times all": value / seconds["all"],
        }
        for name, value in seconds.items()
    ]
    table(f"augmentation, {arguments.size}x{arguments.size}, batch {arguments.batch}", rows)


if __name__ == "__main__":
    main()
