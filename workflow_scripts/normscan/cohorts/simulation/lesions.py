"""Lesions: MS-like, tumour-like and stroke-like, as soft fractions with labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.anatomy import Anatomy
from normscan.cohorts.simulation.template import template

# Labels of tumours follow BraTS: 1 necrotic core, 2 oedema, 4 enhancing rim.
LABELS = {"ms": 1, "stroke": 1, "necrosis": 1, "oedema": 2, "rim": 4}


@dataclass
class Lesions:
    """Soft fractions by kind (ms, stroke, necrosis, oedema, rim), each (x, y, z) in [0, 1]."""

    fractions: dict[str, np.ndarray] = field(default_factory=dict)

    def labels(self, shape: tuple[int, ...]) -> np.ndarray:
        """Label map (x, y, z): the kind with the largest fraction where lesions prevail."""
        found = np.zeros(shape, np.uint8)
        best = np.full(shape, 0.5, np.float32)
        for kind, fraction in self.fractions.items():
            found[fraction > best] = LABELS[kind]
            best = np.maximum(best, fraction)
        return found


@dataclass(frozen=True)
class Tumour:
    """Where a tumour sits: centre (mm) and radius of its core and rim (mm)."""

    centre: np.ndarray
    radius: float

    def push(self, world: np.ndarray) -> np.ndarray:
        """Where tissue at ``world`` (3, n) came from: mass effect pushes it outwards."""
        away = world - self.centre[:, None]
        distance = np.sqrt((away**2).sum(axis=0))
        shrink = 1 - 0.35 * np.exp(-((distance / (1.8 * self.radius)) ** 2))
        return self.centre[:, None] + away * shrink


def place_tumour(rng: np.random.Generator, spacing: float) -> Tumour:
    """A tumour in deep white matter of one hemisphere."""
    fractions, _, ventricles, affine = template(spacing)
    depth = ndimage.distance_transform_edt(fractions[:3].sum(axis=0) > 0.5, sampling=spacing)
    white = (fractions[2] > 0.8) & (depth > 22) & ~ndimage.binary_dilation(ventricles, iterations=3)
    places = np.argwhere(white)
    world = places @ affine[:3, :3].T + affine[:3, 3]
    world = world[(world[:, 2] > -10) & (world[:, 2] < 50) & (np.abs(world[:, 0]) > 18)]
    return Tumour(world[rng.integers(len(world))], float(rng.uniform(12, 20)))


def ms_lesions(rng: np.random.Generator, anatomy: Anatomy) -> Lesions:
    """8 to 22 small, mostly periventricular lesions with diameters of about 4 to 14 mm."""
    white = anatomy.tissue("wm") > 0.75
    near = ndimage.distance_transform_edt(~anatomy.ventricles, sampling=anatomy.spacing)
    weight = np.where(white & (near > 1), np.exp(-near / 7.0) + 0.004, 0).ravel()
    count = int(rng.integers(8, 23))
    places = rng.choice(weight.size, size=count, replace=False, p=weight / weight.sum())
    total = np.zeros(white.shape, np.float32)
    for place in places:
        index = np.array(np.unravel_index(place, white.shape))
        radii = rng.uniform(2.0, 7.0) * rng.uniform(0.7, 1.3, size=3)
        _add_blob(rng, total, index, radii / anatomy.spacing)
    return Lesions({"ms": total * np.clip(1.3 * anatomy.tissue("wm") + 0.2, 0, 1)})


def tumour_lesions(rng: np.random.Generator, anatomy: Anatomy, tumour: Tumour) -> Lesions:
    """Necrotic core, enhancing rim, and oedema that spreads along white matter."""
    distance = _distance(anatomy, tumour.centre)
    wobble = _noise(rng, distance.shape, 9 / anatomy.spacing)
    ragged = _noise(rng, distance.shape, 5 / anatomy.spacing)
    relative = distance / tumour.radius * (1 + 0.13 * wobble)
    spread = distance / tumour.radius * (1 + 0.22 * wobble + 0.15 * ragged)
    inside = anatomy.brain.astype(np.float32)
    core = _below(relative, 0.55, 0.08)
    rim = _below(relative, 0.9, 0.08) - core
    reach = _below(spread, rng.uniform(1.4, 1.9), 0.12) - core - rim
    white = ndimage.gaussian_filter(anatomy.tissue("wm"), 0.7)
    oedema = np.clip(reach, 0, 1) * np.clip((white - 0.35) * 3, 0, 1)
    return Lesions({"necrosis": core * inside, "rim": rim * inside, "oedema": oedema * inside})


def stroke_lesions(rng: np.random.Generator, anatomy: Anatomy) -> Lesions:
    """A territory: a wedge from deep white matter to the cortex of one hemisphere."""
    middle = np.argwhere(anatomy.brain).mean(axis=0)
    centre = anatomy.affine[:3, :3] @ middle + anatomy.affine[:3, 3]
    side = rng.choice([-1, 1])
    direction = np.array([side, rng.uniform(-0.8, 0.5), rng.uniform(-0.1, 0.5)])
    direction /= np.linalg.norm(direction)
    away = _offsets(anatomy, centre)
    distance = np.sqrt((away**2).sum(axis=0))
    cosine = np.tensordot(direction, away, 1) / np.maximum(distance, 1)
    wobble = _noise(rng, distance.shape, 8 / anatomy.spacing)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1))) * (1 + 0.15 * wobble)
    wedge = _below(angle, rng.uniform(22, 34), 2.5) * _below(-distance, -rng.uniform(26, 34), 2.0)
    tissue = anatomy.tissue("wm") + anatomy.tissue("gm")
    return Lesions({"stroke": wedge * np.clip(tissue, 0, 1) * anatomy.brain})


def _below(values: np.ndarray, limit: float, softness: float) -> np.ndarray:
    """A soft step: one where values are well below the limit."""
    return (1 / (1 + np.exp(np.clip((values - limit) / softness, -30, 30)))).astype(np.float32)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Smooth noise of unit variance, made on a coarse grid."""
    factor = max(1, int(sigma / 2))
    coarse = [int(np.ceil(n / factor)) + 1 for n in shape]
    field = ndimage.gaussian_filter(rng.standard_normal(coarse), sigma / factor)
    field /= max(field.std(), 1e-9)
    grown = ndimage.affine_transform(field, np.eye(3) / factor, output_shape=shape, order=1)
    return grown.astype(np.float32)


def _offsets(anatomy: Anatomy, centre: np.ndarray) -> np.ndarray:
    """World offsets (3, x, y, z) in mm from a point."""
    axes = [
        anatomy.affine[i, 3] + anatomy.affine[i, i] * np.arange(n) - centre[i]
        for i, n in enumerate(anatomy.brain.shape)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def _distance(anatomy: Anatomy, centre: np.ndarray) -> np.ndarray:
    return np.sqrt((_offsets(anatomy, centre) ** 2).sum(axis=0))


def _add_blob(rng, total: np.ndarray, centre: np.ndarray, radii: np.ndarray) -> None:
    """Add a soft, slightly irregular ellipsoid (radii in voxels) in its bounding box only."""
    reach = np.ceil(radii.max() * 1.6).astype(int) + 1
    low = np.maximum(centre - reach, 0)
    high = np.minimum(centre + reach + 1, total.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high))
    offsets = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high)), indexing="ij"))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turned = np.tensordot(turn, offsets - centre[:, None, None, None], 1)
    relative = np.sqrt(((turned / radii[:, None, None, None]) ** 2).sum(axis=0))
    relative *= 1 + 0.15 * _noise(rng, relative.shape, 1.5)
    total[box] = np.maximum(total[box], _below(relative, 1.0, 0.08))
