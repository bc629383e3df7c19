"""One subject's anatomy: the template under a random smooth diffeomorphism."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.noise import resized, smooth_noise
from normscan.cohorts.simulation.template import (
    BRAIN_TISSUES,
    LOW_MM,
    SIZE_MM,
    TISSUES,
    Template,
    template,
)

if TYPE_CHECKING:
    from normscan.cohorts.simulation.lesions import Tumour

COARSE_MM = 6.0  # grid of the velocity field
SQUARINGS = 6
CENTRE_MM = np.array([0.0, -18.0, 4.0])  # of the brain: what scales and ventricles refer to
FOLDING = 0.45  # how much cortical folds differ between subjects, in log units of the fractions
SHARPNESS = 1.8  # exponent that undoes some of the average template's blur


@dataclass
class Anatomy:
    """A subject on an isotropic grid: all volumes (x, y, z), ``fractions`` (8, x, y, z).

    ``origin`` (3, x, y, z): where in the template (mm) each voxel's tissue would come from
    without mass effect; lesions are placed by it.
    """

    fractions: np.ndarray
    brain: np.ndarray
    ventricles: np.ndarray
    origin: np.ndarray
    affine: np.ndarray
    spacing: float

    def tissue(self, name: str) -> np.ndarray:
        """Fraction (x, y, z) of one tissue."""
        return self.fractions[TISSUES.index(name)]


def random_displacement(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Displacement (3, i, j, k) in mm of a random diffeomorphism, on a grid of COARSE_MM.

    The exponential of a stationary velocity field by scaling and squaring (Arsigny et al. 2006).
    The grid covers the template's field of view, whatever the resolution of the scans.

    Parameters
    ----------
    strength : standard deviation of the velocity in mm.
    """
    shape = [int(n) for n in np.ceil(SIZE_MM / COARSE_MM) + 1]
    parts = []
    for _ in range(3):
        wide, narrow = (smooth_noise(rng, shape, sigma / COARSE_MM) for sigma in (24.0, 11.0))
        parts.append((0.75 * wide + 0.32 * narrow) * strength)
    step = np.stack(parts) / COARSE_MM / 2**SQUARINGS
    points = np.indices(shape).astype(float)
    for _ in range(SQUARINGS):
        step = step + np.stack(
            [ndimage.map_coordinates(part, points + step, order=1, mode="nearest") for part in step]
        )
    return step * COARSE_MM


def template_points(
    rng: np.random.Generator, base: Template, strength: float, litres: float
) -> np.ndarray:
    """Where in the template (mm) each voxel of the subject's grid comes from: (3, x, y, z).

    Parameters
    ----------
    strength : of the local deformation in mm.
    litres : volume that the template's brain is scaled to.
    """
    shape, spacing = base.brain.shape, base.spacing
    volume = float((base.brain > 0.5).sum()) * spacing**3 / 1e6
    stretch = np.exp(np.clip(rng.normal(0, 0.022, 3), -0.05, 0.05))
    stretch *= (litres / volume) ** (1 / 3) / stretch.prod() ** (1 / 3)
    swell = rng.uniform(-0.15, 0.30)
    axes = [LOW_MM[i] + spacing * np.arange(n) for i, n in enumerate(shape)]
    points = np.empty((3, *shape), np.float32)
    for i, part in enumerate(random_displacement(rng, strength)):
        place = (axes[i] - CENTRE_MM[i]) / stretch[i] + CENTRE_MM[i]
        fine = resized(part, spacing / COARSE_MM, shape)
        points[i] = fine + place.reshape([-1 if axis == i else 1 for axis in range(3)])
    # Ventricles widen or narrow; the effect fades towards the cortex.
    middle = np.array([0.0, -14.0, 12.0], np.float32)
    squared = sum((points[i] - middle[i]) ** 2 for i in range(3))
    pull = np.float32(swell) * np.exp(squared * np.float32(-1 / 34.0**2))
    for i in range(3):
        points[i] -= pull * (points[i] - middle[i])
    return points


def subject_anatomy(
    rng: np.random.Generator,
    spacing: float,
    deformation: float = 2.5,
    *,
    head: bool = True,
    tumour: Tumour | None = None,
) -> Anatomy:
    """A random subject on the template's grid.

    Parameters
    ----------
    rng : random stream of the subject's anatomy.
    spacing : voxel size in mm.
    deformation : strength of the local deformation in mm.
    head : with skull, scalp and face; False leaves them out, which is faster.
    tumour : pushes tissue outwards (mass effect).
    """
    base = template(spacing)
    litres = float(np.clip(rng.normal(1.42, 0.09), 1.25, 1.58))
    origin = template_points(rng, base, deformation, litres)
    points = origin if tumour is None else tumour.pushed(origin, base)
    index = (points - LOW_MM.astype(np.float32)[:, None, None, None]) / np.float32(spacing)
    kept = len(TISSUES) if head else len(BRAIN_TISSUES)
    occupied = _nearest(base.fractions[:kept].sum(axis=0) > 0.02, index)
    where = np.ascontiguousarray(index[:, occupied])

    def warped(volume: np.ndarray) -> np.ndarray:
        found = np.zeros(volume.shape, np.float32)
        found[occupied] = ndimage.map_coordinates(volume, where, order=1, output=np.float32)
        return found

    fractions = np.zeros_like(base.fractions)
    for i in range(kept):
        fractions[i] = warped(base.fractions[i])
    brain = warped(base.brain) > 0.5
    ventricles = warped(base.ventricles) > 0.5
    _refold(rng, fractions, points, spacing)
    if not head:
        fractions *= brain
    return Anatomy(fractions, brain, ventricles, origin, base.affine, spacing)


def _refold(rng, fractions: np.ndarray, points: np.ndarray, spacing: float) -> None:
    """Sharpen the tissues of an average brain into those of one person, in place.

    Fractions are raised to a power and tilted by smooth noise, so that folds differ; deep grey
    matter is left as it is, since it lies between grey and white matter in truth, too.
    """
    shape = fractions.shape[1:]
    lattice = [int(n) for n in np.ceil(SIZE_MM / 3.0) + 1]
    tilts = [smooth_noise(rng, lattice, 1.2).astype(np.float32) for _ in range(2)]
    brain = fractions[:3].sum(axis=0)
    where = brain > 0.02
    share = fractions[:3, where] / brain[where]
    deep = sum(
        ((points[i][where] - middle) / radius) ** 2
        for i, (middle, radius) in enumerate(((0, 34), (-8, 40), (4, 24)))
    )
    mild = (1 / (1 + np.exp(4 * (deep - 1)))).astype(np.float32)
    power = SHARPNESS + (1.15 - SHARPNESS) * mild
    share = np.exp(power * np.log(share + 1e-4))
    for tissue, tilt in zip((0, 1), tilts):
        fine = resized(tilt, spacing / 3.0, shape)
        share[tissue] *= np.exp(FOLDING * (1 - mild) * fine[where])
    share *= brain[where] / share.sum(axis=0)
    fractions[:3, where] = share


def _nearest(mask: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Mask at the voxels nearest to ``index`` (3, x, y, z); False outside of the grid."""
    rounded = np.rint(index).astype(np.int32)
    inside = np.ones(index.shape[1:], bool)
    for i, count in enumerate(mask.shape):
        inside &= (rounded[i] >= 0) & (rounded[i] < count)
        np.clip(rounded[i], 0, count - 1, out=rounded[i])
    return mask[tuple(rounded)] & inside
