"""From anatomy to scans: contrast, slice profile, pose, bias field, Rician noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.anatomy import Anatomy
from normscan.cohorts.simulation.lesions import Lesions
from normscan.cohorts.simulation.template import TISSUES

# Relative intensities in the order of TISSUES: csf, gm, wm, bone, marrow, fat, muscle, eye.
INTENSITIES = {
    "T1w": (0.22, 0.66, 1.00, 0.06, 0.50, 1.15, 0.50, 0.22),
    "T1ce": (0.22, 0.66, 1.00, 0.06, 0.50, 1.15, 0.55, 0.22),
    "T2w": (1.50, 0.80, 0.55, 0.06, 0.45, 0.90, 0.30, 1.45),
    "FLAIR": (0.14, 0.78, 0.62, 0.05, 0.40, 0.75, 0.38, 0.20),
    "PD": (0.95, 1.00, 0.80, 0.08, 0.60, 1.00, 0.60, 0.95),
    "DWI": (0.20, 0.65, 0.55, 0.03, 0.20, 0.25, 0.30, 0.15),
}
LESIONS = {
    "T1w": {"ms": 0.62, "stroke": 0.55, "necrosis": 0.32, "oedema": 0.66, "rim": 0.72},
    "T1ce": {"ms": 0.64, "stroke": 0.57, "necrosis": 0.32, "oedema": 0.66, "rim": 1.45},
    "T2w": {"ms": 1.05, "stroke": 1.15, "necrosis": 1.35, "oedema": 1.15, "rim": 0.95},
    "FLAIR": {"ms": 1.12, "stroke": 1.08, "necrosis": 0.55, "oedema": 1.12, "rim": 1.00},
    "PD": {"ms": 1.15, "stroke": 1.15, "necrosis": 1.10, "oedema": 1.15, "rim": 1.10},
    "DWI": {"ms": 0.85, "stroke": 1.30, "necrosis": 0.35, "oedema": 0.70, "rim": 0.95},
}
SCALE = 600.0


@dataclass(frozen=True)
class Grid:
    """A scanner's grid: shape and affine (4, 4) in mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def voxel(self) -> np.ndarray:
        """Voxel size in mm."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))


def scanner_grid(
    rng: np.random.Generator, anatomy: Anatomy, voxel: tuple[float, float, float], oblique: bool
) -> Grid:
    """A grid with axial slices that covers the head, slightly turned when oblique."""
    extent = np.array(anatomy.brain.shape) * anatomy.spacing
    shape = tuple(int(np.ceil(length / size)) for length, size in zip(extent, voxel))
    turn = _rotation(rng.normal(0, np.radians(4), 3)) if oblique else np.eye(3)
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array(voxel)
    middle = anatomy.affine[:3, :3] @ ((np.array(anatomy.brain.shape) - 1) / 2)
    middle = middle + anatomy.affine[:3, 3] + (rng.normal(0, 3, 3) if oblique else 0)
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def moved(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """World-to-world motion (4, 4) of the head between two scans: under 1 mm and 1 degree."""
    motion = np.eye(4)
    motion[:3, :3] = _rotation(rng.normal(0, np.radians(0.5), 3))
    motion[:3, 3] = rng.normal(0, 0.5, 3)
    return motion


def contrast_volume(
    rng: np.random.Generator, anatomy: Anatomy, lesions: Lesions, contrast: str, head: bool
) -> np.ndarray:
    """Noise-free intensities (x, y, z) of a contrast on the anatomy's grid."""
    values = np.array(INTENSITIES[contrast]) * (1 + 0.03 * rng.standard_normal(len(TISSUES)))
    fractions = anatomy.fractions
    volume = np.tensordot(values.astype(np.float32), fractions, 1)
    for kind, fraction in lesions.fractions.items():
        value = LESIONS[contrast][kind] * (1 + 0.04 * rng.standard_normal())
        volume += fraction * (value - volume)
    texture = ndimage.gaussian_filter(rng.standard_normal(volume.shape).astype(np.float32), 1.2)
    volume *= 1 + 0.02 * texture / texture.std()
    return volume if head else volume * anatomy.brain


def acquire(
    rng: np.random.Generator,
    volume: np.ndarray,
    anatomy: Anatomy,
    grid: Grid,
    motion: np.ndarray,
    *,
    bias: float,
    noise: float,
) -> np.ndarray:
    """Sample a volume on a scanner's grid (int16), through thick slices, with bias and noise."""
    blur = np.sqrt(np.maximum((grid.voxel / anatomy.spacing) ** 2 - 1, 0)) * 0.4
    sampled = resample(ndimage.gaussian_filter(volume, blur), anatomy, grid, motion, order=1)
    if bias:
        coarse = ndimage.zoom(rng.standard_normal((4, 4, 4)), 5, order=3).astype(np.float32)
        factors = np.diag([19 / (n - 1) for n in grid.shape])
        field = ndimage.affine_transform(coarse, factors, output_shape=grid.shape, order=1)
        sampled = sampled * np.exp(bias * field / max(field.std(), 1e-9) * 0.5)
    if noise:
        real = sampled + noise * rng.standard_normal(grid.shape)
        rician = np.hypot(real, noise * rng.standard_normal(grid.shape))
        sampled = rician
    return np.clip(np.round(sampled * SCALE), 0, 32767).astype(np.int16)


def resample(
    volume: np.ndarray, anatomy: Anatomy, grid: Grid, motion: np.ndarray, order: int
) -> np.ndarray:
    """Values of a volume on the anatomy's grid at the voxels of a scanner's grid."""
    matrix = np.linalg.inv(anatomy.affine) @ motion @ grid.affine
    return ndimage.affine_transform(
        volume, matrix[:3, :3], matrix[:3, 3], output_shape=grid.shape, order=order
    )


def _rotation(angles: np.ndarray) -> np.ndarray:
    a, b, c = angles
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx
