"""Made slices with lesions, and a store that holds a batch."""

import numpy as np
import torch

from normscan.slices.batch import Batch
from normscan.slices.batches import mapped


class HeldBatch:
    """A batch of arrays with the interface of a SliceStore."""

    nbytes = 0

    def __init__(self, batch):
        self.whole = batch

    def __len__(self):
        return len(self.whole)

    def batch(self, numbers):
        return mapped(self.whole, lambda array: array[numbers])


def made_brains(count=24, size=16, seed=0, lesions=False, gain=1.0):
    """Two contrasts (T1w, FLAIR) of round brains, the second darker where the first is brighter.

    Lesions are squares that only the second one shows.

    Returns
    -------
    contrasts (n, 2, size, size), layers (brain, lesion).
    """
    random = np.random.default_rng(seed)
    x, y = np.mgrid[:size, :size] / size - 0.5
    radius = random.uniform(0.33, 0.45, (count, 1, 1))
    brain = x**2 + y**2 < radius**2
    middle = x**2 + y**2 < (radius / 2) ** 2
    first = brain * np.where(middle, random.uniform(0.1, 0.7, (count, 1, 1)), 0.8)
    second = brain * (1.2 - first)
    lesion = np.zeros_like(brain)
    if lesions:
        for own in lesion[: 3 * count // 4]:
            row, column = random.integers(size // 4, size // 2 + 1, 2)
            own[row : row + size // 5, column : column + size // 5] = True
    lesion &= brain
    second = np.where(lesion, 1.6, second)
    slices = gain * np.stack([first, second], axis=1).astype(np.float32)
    layers = {"brain": brain.astype(np.int16), "lesion": lesion.astype(np.int16)}
    return slices.astype(np.float32), layers


def tensors(batch):
    """A batch of arrays as one of tensors."""
    return mapped(batch, torch.from_numpy)


def flair(**options):
    """A batch whose slices are the second contrast."""
    slices, layers = made_brains(**options)
    return Batch.of(slices[:, 1:], layers=layers)
