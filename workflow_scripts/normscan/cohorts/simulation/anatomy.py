"""One subject's anatomy: the template under a random smooth diffeomorphism."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.template import TISSUES, template

VELOCITY_MM = 12.0
COARSE_MM = 8.0


@dataclass
class Anatomy:
    """Tissue fractions (8, x, y, z) on an isotropic grid, ventricles, brain mask, affine."""

    fractions: np.ndarray
    ventricles: np.ndarray
    brain: np.ndarray
    affine: np.ndarray

    @property
    def spacing(self) -> float:
        """Voxel size in mm."""
        return float(abs(self.affine[0, 0]))

    def tissue(self, name: str) -> np.ndarray:
        """Fraction of one tissue (x, y, z)."""
        return self.fractions[TISSUES.index(name)]


def random_displacement(
    rng: np.random.Generator, shape: tuple[int, ...], spacing: float, strength: float
) -> np.ndarray:
    """Displacement (3, *shape) in mm of a diffeomorphism: a stationary velocity, exponentiated.

    Scaling and squaring (Arsigny et al. 2006) on a coarse grid, then linear upsampling.

    Parameters
    ----------
    shape, spacing : of the fine grid, in mm.
    strength : standard deviation of the velocity in mm.
    """
    coarse = tuple(int(np.ceil(n * spacing / COARSE_MM)) + 1 for n in shape)
    sigma = VELOCITY_MM * 2 / COARSE_MM
    velocity = np.stack(
        [ndimage.gaussian_filter(rng.standard_normal(coarse), sigma) for _ in "xyz"]
    )
    velocity *= strength / max(velocity.std(), 1e-9)
    step = velocity / COARSE_MM / 2**6
    points = np.indices(coarse).astype(float)
    for _ in range(6):
        step = step + np.stack(
            [ndimage.map_coordinates(part, points + step, order=1, mode="nearest") for part in step]
        )
    fine = [np.arange(n) * spacing / COARSE_MM for n in shape]
    grid = np.meshgrid(*fine, indexing="ij", sparse=False)
    return np.stack(
        [
            ndimage.map_coordinates(part, grid, order=1, mode="nearest", output=np.float32)
            for part in step * COARSE_MM
        ]
    )


def subject_anatomy(
    rng: np.random.Generator, spacing: float, strength: float, push=None
) -> Anatomy:
    """A subject's anatomy on the template's grid.

    Parameters
    ----------
    rng : random stream of the subject.
    spacing : voxel size in mm.
    strength : of the deformation in mm.
    push : displaces points (3, n) in mm towards where tissue comes from (mass effect of a tumour).
    """
    fractions, brain_template, ventricles, affine = template(spacing)
    shape = fractions.shape[1:]
    displacement = random_displacement(rng, shape, spacing, strength)
    scale = 0.95 + 0.03 * rng.standard_normal(3)
    swell = rng.uniform(-0.25, 0.3)
    centre = (np.array(shape) - 1) / 2
    # Air far from any head needs no interpolation.
    occupied = ndimage.binary_dilation(fractions.sum(axis=0) > 0, iterations=round(12 / spacing))
    points = np.argwhere(occupied).T.astype(np.float32)
    if push is not None:
        world = (affine[:3, :3] @ points + affine[:3, 3:]).astype(np.float32)
        points += (push(world) - world) / np.diag(affine)[:3, None]
    points += displacement[:, occupied] / spacing
    points = centre[:, None] + (points - centre[:, None]) / scale[:, None]
    offset = points - np.array(ndimage.center_of_mass(ventricles))[:, None]
    near = np.exp(-((offset * spacing) ** 2).sum(axis=0) / 30.0**2)
    points = (points - offset * (swell * 0.6 * near)).astype(np.float32)

    def warped(volume: np.ndarray) -> np.ndarray:
        found = np.zeros(shape, np.float32)
        found[occupied] = ndimage.map_coordinates(volume, points, order=1, output=np.float32)
        return found

    tissues = np.stack([warped(part) for part in fractions])
    inside = warped(ventricles.astype(np.float32)) > 0.5
    brain = ndimage.binary_fill_holes(warped(brain_template) > 0.5)
    return Anatomy(tissues, inside, brain, affine)
