"""Lesions: MS-like, tumour-like and stroke-like, as soft fractions with labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.anatomy import Anatomy
from normscan.cohorts.simulation.noise import resized, smooth_noise
from normscan.cohorts.simulation.template import LOW_MM, SIZE_MM, Template, template

# Labels of tumours follow BraTS: 1 necrotic core, 2 oedema, 4 enhancing rim.
LABELS = {"ms": 1, "stroke": 1, "necrosis": 1, "oedema": 2, "rim": 4}


@dataclass
class Lesions:
    """Soft fractions by kind (ms, stroke, necrosis, oedema, rim), each (x, y, z) in [0, 1]."""

    fractions: dict[str, np.ndarray] = field(default_factory=dict)


def labelled(fractions: dict[str, np.ndarray]) -> np.ndarray:
    """Label map (x, y, z): where lesions fill half a voxel, the kind with the largest fraction.

    Parameters
    ----------
    fractions : one or more kinds, each (x, y, z) in [0, 1].
    """
    kinds = list(fractions)
    stacked = np.stack([fractions[kind] for kind in kinds])
    codes = np.array([LABELS[kind] for kind in kinds], np.uint8)
    return np.where(stacked.sum(axis=0) >= 0.5, codes[stacked.argmax(axis=0)], 0).astype(np.uint8)


@dataclass(frozen=True)
class Tumour:
    """Where a tumour sits: ``centre`` (3,) in the template in mm, ``radius`` of its rim in mm."""

    centre: np.ndarray
    radius: float

    def pushed(self, origin: np.ndarray, base: Template) -> np.ndarray:
        """Where tissue at ``origin`` (3, x, y, z) came from before the tumour pushed it away.

        The effect ends at the brain's surface: a skull does not give way.
        """
        index = [np.rint((origin[i] - LOW_MM[i]) / base.spacing).astype(np.int32) for i in range(3)]
        for i, count in enumerate(base.depth.shape):
            np.clip(index[i], 0, count - 1, out=index[i])
        gate = np.clip(base.depth[tuple(index)] / 20.0, 0, 1)
        gate = ndimage.gaussian_filter(gate, 2.0 / base.spacing)
        squared = _squared_distance(origin, self.centre)
        shrink = 0.38 * gate * np.exp(squared * np.float32(-1 / (1.7 * self.radius) ** 2))
        return np.stack(
            [origin[i] - shrink * (origin[i] - np.float32(self.centre[i])) for i in range(3)]
        )


def place_tumour(rng: np.random.Generator, spacing: float) -> Tumour:
    """A tumour in the deep white matter of one hemisphere."""
    base = template(spacing)
    white = (base.fractions[2] > 0.7) & (base.depth > 20)
    beside = ndimage.distance_transform_edt(base.ventricles < 0.5, sampling=spacing) > 8
    places = np.argwhere(white & beside) * spacing + LOW_MM
    high, outer = places[:, 2], np.abs(places[:, 0])
    places = places[(high > -8) & (high < 45) & (outer > 20) & (places[:, 1] > -75)]
    return Tumour(places[rng.integers(len(places))], float(rng.uniform(13, 21)))


def ms_lesions(rng: np.random.Generator, anatomy: Anatomy) -> Lesions:
    """Some 10 to 25 lesions of 4 to 14 mm, most beside the ventricles; 5 to 22 ml together.

    Those beside the ventricles are drawn out at right angles to them (Dawson's fingers).
    """
    spacing = anatomy.spacing
    white = anatomy.tissue("wm")
    near = ndimage.distance_transform_edt(~anatomy.ventricles, sampling=spacing)
    away = [part.astype(np.float32) for part in np.gradient(ndimage.gaussian_filter(near, 1.5))]
    depth = ndimage.distance_transform_edt(anatomy.brain, sampling=spacing)
    allowed = (white > 0.6) & (near > 1.5) & (depth > 6) & (anatomy.origin[2] > -12)
    # Twelve in the hundred lie anywhere in white matter, the rest within about a centimetre.
    weight = np.where(allowed, np.exp(-((near / 7.0) ** 2)) + 1e-9, 0)
    weight = 0.88 * weight / weight.sum() + 0.12 * allowed / allowed.sum()
    room = np.clip(1.6 * white - 0.1, 0, 1) * anatomy.brain
    count = int(rng.integers(11, 26))
    target = float(np.exp(rng.uniform(np.log(6), np.log(16))))
    places = rng.choice(weight.size, size=count, replace=False, p=weight.ravel())
    sizes = np.exp(rng.normal(0, 0.35, count))
    shapes = rng.uniform(0.75, 1.25, (count, 3))
    seeds = rng.integers(0, 2**32, count)
    mean = (target * 1000 / (4.19 * (sizes**3).sum())) ** (1 / 3)
    for _ in range(6):
        total = np.zeros(white.shape, np.float32)
        radii = np.clip(mean * sizes, 2.2, 7.0)
        for place, radius, shape, seed in zip(places, radii, shapes, seeds):
            index = np.array(np.unravel_index(place, white.shape))
            axis = np.array([part[tuple(index)] for part in away])
            _add_ellipsoid(total, index, radius * shape, axis, int(seed), spacing)
        found = total * room
        volume = float((found > 0.5).sum()) * spacing**3 / 1000
        if volume >= 0.9 * target or radii.min() >= 7.0:
            break
        mean *= min((target / max(volume, 0.5)) ** (1 / 3), 1.5)
    return Lesions({"ms": found})


def tumour_lesions(rng: np.random.Generator, anatomy: Anatomy, tumour: Tumour) -> Lesions:
    """Necrotic core, enhancing rim, and oedema that spreads in fingers along white matter."""
    distance = np.sqrt(_squared_distance(anatomy.origin, tumour.centre))
    wobble, ragged, inner = (_patches(rng, anatomy, size) for size in (10.0, 4.0, 7.0))
    relative = distance / tumour.radius + 0.11 * wobble + 0.03 * ragged
    core = _below(relative + 0.07 * inner, rng.uniform(0.55, 0.70), 0.05)
    solid = _below(relative, rng.uniform(0.85, 0.95), 0.05)
    spread = distance / tumour.radius + 0.20 * wobble + 0.09 * ragged
    reach = _below(spread, rng.uniform(1.5, 2.0), 0.1)
    white = ndimage.gaussian_filter(anatomy.tissue("wm"), 0.8 / anatomy.spacing)
    oedema = reach * np.clip((white - 0.35) * 3, 0, 1)
    # Oedema stays in its hemisphere and in one piece with the tumour.
    side = np.sign(tumour.centre[0])
    oedema *= _below(-side * anatomy.origin[0], -2.0, 1.5)
    pieces, _ = ndimage.label((oedema > 0.3) | (solid > 0.5))
    middle = pieces[np.unravel_index(distance.argmin(), distance.shape)]
    oedema *= ndimage.binary_dilation(pieces == middle)
    tissue = np.clip(1 - 1.2 * anatomy.tissue("csf"), 0, 1) * anatomy.brain
    solid = solid * anatomy.brain
    return Lesions(
        {
            "necrosis": core * solid,
            "rim": (1 - core) * solid,
            "oedema": oedema * (1 - solid) * tissue,
        }
    )


def stroke_lesions(rng: np.random.Generator, anatomy: Anatomy) -> Lesions:
    """A territory of the middle cerebral artery: a wedge from deep white matter to the cortex."""
    side = float(rng.choice([-1, 1]))
    tip = np.array([side * rng.uniform(22, 28), rng.uniform(-22, 4), rng.uniform(2, 14)])
    direction = np.array([side, rng.uniform(-0.9, 0.5), rng.uniform(-0.1, 0.8)])
    direction /= np.linalg.norm(direction)
    away = [anatomy.origin[i] - np.float32(tip[i]) for i in range(3)]
    distance = np.sqrt(sum(part**2 for part in away))
    along = sum(np.float32(direction[i]) * away[i] for i in range(3))
    angle = np.degrees(np.arccos(np.clip(along / np.maximum(distance, 1), -1, 1)))
    wobble, ragged = (_patches(rng, anatomy, size) for size in (10.0, 3.5))
    wedge = _below(angle + 6 * wobble + 3 * ragged, rng.uniform(22, 38), 2.0)
    wedge *= _below(-distance - ragged, -rng.uniform(4, 9), 1.0)
    # What lies beside the midline is another artery's territory.
    wedge *= _below(-side * anatomy.origin[0], -14.0, 1.5)
    tissue = np.clip(1 - 1.3 * anatomy.tissue("csf"), 0, 1) * anatomy.brain
    return Lesions({"stroke": wedge * tissue})


def _squared_distance(origin: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return sum((origin[i] - np.float32(centre[i])) ** 2 for i in range(3))


def _below(values: np.ndarray, limit: float, softness: float) -> np.ndarray:
    """A soft step: one where values are well below the limit."""
    return (1 / (1 + np.exp(np.clip((values - limit) / softness, -30, 30)))).astype(np.float32)


def _patches(rng: np.random.Generator, anatomy: Anatomy, size: float) -> np.ndarray:
    """Smooth noise (x, y, z) of unit variance, alike at any resolution; ``size`` in mm."""
    lattice = size / 3
    shape = [int(n) for n in np.ceil(SIZE_MM / lattice) + 1]
    noise = smooth_noise(rng, shape, 1.5)
    return resized(noise, anatomy.spacing / lattice, anatomy.brain.shape)


def _add_ellipsoid(total, centre, radii, axis, seed: int, spacing: float) -> None:
    """Add a soft, slightly irregular ellipsoid; its long axis points along ``axis``."""
    radii = radii * np.array([1.35, 0.85, 0.85])
    reach = np.ceil(radii.max() * 1.5 / spacing).astype(int) + 1
    low = np.maximum(centre - reach, 0)
    high = np.minimum(centre + reach + 1, total.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high))
    offsets = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high)), indexing="ij"))
    offsets = (offsets - centre[:, None, None, None]) * spacing
    first = axis / max(np.linalg.norm(axis), 1e-6)
    second = np.cross(first, [0.31, 0.48, 0.82])
    second /= max(np.linalg.norm(second), 1e-6)
    frame = np.stack([first, second, np.cross(first, second)])
    parts = [sum(row[i] * offsets[i] for i in range(3)) for row in frame]
    relative = np.sqrt(sum((part / radius) ** 2 for part, radius in zip(parts, radii)))
    rough = smooth_noise(np.random.default_rng(seed), relative.shape, max(2.2 / spacing, 0.5))
    relative *= 1 + 0.09 * np.clip(rough, -2, 2)
    total[box] = np.maximum(total[box], _below(relative, 1.0, 0.07))
