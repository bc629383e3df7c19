"""Augmentation of training slices by TorchIO: which transforms there are, and how they are drawn.

Source: Chatterjee et al. 2022, section 3.2.1: values there are the defaults here. Not given in the
paper: probabilities (one half each), the order (spatial first, so that noise is not smoothed by
interpolation), ghosts' strength and the affine transform's scaling (those of TorchIO). ``scaling``
is of Kim et al. 2021, section 2.4, which gives no range: how strong each contrast is against the
others, so that networks do not rely on it. (TorchIO has no such transform.)

Random numbers of a slice follow from the training's seed, the phase, the epoch and the slice's
number alone. So order, batches and threads change nothing, and a training that was killed goes on
to the same bits. TorchIO's transforms draw from torch's global generator, which the training's own
noise comes from; here parameters are drawn first, and its deterministic transforms are applied.

All channels of a slice, inputs and targets, are changed alike (noise and scaling are others in
each). What is background after the spatial transforms stays 0: models never see anything else
there, and maps are looked at inside the brain only. TorchIO alone would leave noise and ghosts
beside the head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from normscan.slices.batch import Batch

# Transforms in the order in which they are applied.
TRANSFORMS = {
    "flip": {"probability": 0.5, "axes": "any"},
    "affine": {"probability": 0.5, "degrees": 35.0, "scales": 0.1, "interpolation": "nearest"},
    "rotation": {"probability": 0.5, "degrees": 15.0, "interpolation": "linear"},
    "bias_field": {"probability": 0.5, "coefficients": 0.5, "order": 3},
    "gamma": {"probability": 0.5, "log_gamma": 0.3},
    "scaling": {"probability": 0.5, "strength": 0.2},
    "ghosting": {
        "probability": 0.5,
        "fewest": 4,
        "most": 10,
        "weakest": 0.5,
        "strongest": 1.0,
        "restore": 0.02,
    },
    "noise": {"probability": 0.5, "std": 0.25},
}
ALLOWED = {
    "flip": {"probability": "0..1", "axes": ["any", "horizontal"]},
    "affine": {
        "probability": "0..1",
        "degrees": "0..180",
        "scales": "0..<1",
        "interpolation": ["nearest", "linear"],
    },
    "rotation": {
        "probability": "0..1",
        "degrees": "0..180",
        "interpolation": ["nearest", "linear"],
    },
    "bias_field": {"probability": "0..1", "coefficients": "0..3", "order": "0..6"},
    "gamma": {"probability": "0..1", "log_gamma": "0..5"},
    "scaling": {"probability": "0..1", "strength": "0..<1"},
    "ghosting": {
        "probability": "0..1",
        "fewest": "1..100",
        "most": "1..100",
        "weakest": "0..100",
        "strongest": "0..100",
        "restore": "0..1",
    },
    "noise": {"probability": "0..1", "std": "0..100"},
}
MEANING = {
    "flip": "the slice mirrored",
    "flip.axes": "left and right; of any this, front and back, or both",
    "affine": "the slice turned and scaled",
    "rotation": "the slice turned",
    "bias_field": "a smooth change of intensities, a polynomial of both axes",
    "gamma": "intensities to a power",
    "scaling": "every contrast times a factor of its own",
    "ghosting": "copies of the slice along an axis, as of motion",
    "noise": "of every pixel",
    "probability": "of each slice, in each epoch",
    "degrees": "largest angle, either way [degrees]",
    "scales": "largest change of size [share]",
    "interpolation": "between pixels",
    "coefficients": "largest coefficient of a term",
    "order": "of the polynomial",
    "log_gamma": "largest logarithm of the power",
    "strength": "largest change [share]",
    "fewest": "ghosts",
    "most": "ghosts",
    "weakest": "least strength of ghosts [share of the spectrum's maximum]",
    "strongest": "greatest strength of ghosts [share of the spectrum's maximum]",
    "restore": "share of the spectrum's centre that is left alone",
    "std": "largest standard deviation [units of intensity]",
}
# The first of two settings must not exceed the second.
ORDERED = {"ghosting": [["fewest", "most"], ["weakest", "strongest"]]}

HORIZONTAL = "horizontal"

Settings = Mapping[str, Mapping[str, Any]]


class Augmentation:
    """Changes batches of training slices; a callable for :func:`normscan.training.loop.train`.

    Parameters
    ----------
    transforms : name -> all its settings (:data:`TRANSFORMS`).
    threads : slices that are worked on at a time.
    """

    def __init__(self, transforms: Settings, threads: int = 1):
        self.transforms = {name: transforms[name] for name in TRANSFORMS if name in transforms}
        self.threads = threads
        self._pool: Executor | None = None

    def __call__(
        self, batch: Batch[np.ndarray], numbers: np.ndarray, key: Sequence[int]
    ) -> Batch[np.ndarray]:
        """The batch changed; the one given stays as it is.

        Parameters
        ----------
        batch : slices and targets; layers and other streams are not changed, so that families that
            have them cannot be augmented (``workflow.protocol_models``).
        numbers : of its slices in the training set.
        key : seed, phase and epoch.
        """
        same = batch.targets is batch.slices
        images = batch.slices if same else np.concatenate([batch.slices, batch.targets], axis=1)
        change = partial(self._changed, key=tuple(key))
        if self.threads > 1:
            self._pool = self._pool or ThreadPoolExecutor(self.threads)
            made = list(self._pool.map(change, images, numbers))
        else:
            made = [change(image, number) for image, number in zip(images, numbers)]
        changed = np.stack(made)
        channels = batch.slices.shape[1]
        slices = changed[:, :channels]
        targets = slices if same else changed[:, channels:]
        return Batch(slices, targets, batch.layers, batch.position, batch.others)

    def _changed(self, image: np.ndarray, number: int, key: tuple[int, ...]) -> np.ndarray:
        return augmented(image, self.transforms, slice_generator(*key, int(number)))


def slice_generator(*key: int) -> np.random.Generator:
    """Random numbers of one slice in one epoch: ``key`` is seed, phase, epoch, number."""
    entropy = np.random.SeedSequence([abs(int(one)) for one in key])
    return np.random.Generator(np.random.Philox(entropy))


def augmented(image: np.ndarray, transforms: Settings, random: np.random.Generator) -> np.ndarray:
    """A slice (channels, x, y) float32 after the transforms that happen to it.

    Parameters
    ----------
    transforms : name -> all its settings, in the order of :data:`TRANSFORMS`.
    """
    found, masked = image, False
    inside = np.ones(image.shape[1:], bool)
    for name, settings in transforms.items():
        settings = dict(settings)
        if random.random() >= settings.pop("probability"):
            continue
        if name in _INTENSITY and not masked:
            inside, masked = (found != 0).any(axis=0), True
        found = _APPLY[name](found, random, **settings)
    return np.where(inside, found, np.float32(0)).astype(np.float32, copy=False)


def _flip(image: np.ndarray, random: np.random.Generator, *, axes: str) -> np.ndarray:
    """Left and right; of ``any``, this, front and back, or both."""
    chosen = (1,) if axes == HORIZONTAL else [(1,), (2,), (1, 2)][random.integers(3)]
    return np.flip(image, chosen)


def _affine(
    image: np.ndarray,
    random: np.random.Generator,
    *,
    degrees: float,
    interpolation: str,
    scales: float = 0.0,
) -> np.ndarray:
    import torchio

    sizes = random.uniform(1 - scales, 1 + scales, 2)
    angle = random.uniform(-degrees, degrees)
    transform = torchio.Affine(
        scales=(*sizes, 1.0),
        degrees=(0.0, 0.0, angle),
        translation=(0.0, 0.0, 0.0),
        default_pad_value=0.0,
        image_interpolation=interpolation,
    )
    return _by_torchio(transform, image)


def _bias_field(
    image: np.ndarray, random: np.random.Generator, *, coefficients: float, order: int
) -> np.ndarray:
    """TorchIO's bias field, without the terms of a third axis that a slice has not."""
    terms = _monomials(image.shape[1], image.shape[2], order)
    drawn = random.uniform(-coefficients, coefficients, len(terms)).astype(np.float32)
    return image * np.exp(np.tensordot(drawn, terms, 1))


def _gamma(image: np.ndarray, random: np.random.Generator, *, log_gamma: float) -> np.ndarray:
    import torchio

    gamma = float(np.exp(random.uniform(-log_gamma, log_gamma)))
    return _by_torchio(torchio.Gamma(gamma=gamma), image)


def _scaling(image: np.ndarray, random: np.random.Generator, *, strength: float) -> np.ndarray:
    """Each channel times a factor of its own, from 1 - ``strength`` to 1 + ``strength``."""
    factors = random.uniform(1 - strength, 1 + strength, len(image)).astype(np.float32)
    return image * factors[:, None, None]


def _ghosting(
    image: np.ndarray,
    random: np.random.Generator,
    *,
    fewest: int,
    most: int,
    weakest: float,
    strongest: float,
    restore: float,
) -> np.ndarray:
    import torchio

    transform = torchio.Ghosting(
        num_ghosts=int(random.integers(fewest, most, endpoint=True)),
        axis=int(random.integers(2)),
        intensity=random.uniform(weakest, strongest),
        restore=restore,
    )
    return _by_torchio(transform, image)


def _noise(image: np.ndarray, random: np.random.Generator, *, std: float) -> np.ndarray:
    spread = np.float32(random.uniform(0, std))
    return image + spread * random.standard_normal(image.shape, dtype=np.float32)


def _by_torchio(transform: Any, image: np.ndarray) -> np.ndarray:
    """A deterministic transform applied to a slice (channels, x, y).

    Not by calling it: that draws from torch's global generator whether to do anything at all.
    """
    import torchio

    tensor = torch.from_numpy(np.array(image, np.float32))[..., None]
    subject = torchio.Subject(image=torchio.ScalarImage(tensor=tensor))
    return transform.apply_transform(subject)["image"].data[..., 0].numpy()


@cache
def _monomials(width: int, height: int, order: int) -> np.ndarray:
    """x^i y^j (terms, width, height) with i + j up to ``order``, x and y from -1 to 1."""
    x, y = (np.arange(-side / 2, side / 2) + 0.5 for side in (width, height))
    x, y = x / max(x.max(), 0.5), y / max(y.max(), 0.5)
    powers = [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]
    return np.stack([np.outer(x**i, y**j) for i, j in powers]).astype(np.float32)


_APPLY: dict[str, Callable[..., np.ndarray]] = {
    "flip": _flip,
    "affine": _affine,
    "rotation": _affine,
    "bias_field": _bias_field,
    "gamma": _gamma,
    "scaling": _scaling,
    "ghosting": _ghosting,
    "noise": _noise,
}
_INTENSITY = {"bias_field", "gamma", "scaling", "ghosting", "noise"}
