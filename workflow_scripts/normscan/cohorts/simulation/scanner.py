"""From a noise-free volume to a scan: grid, slice profile, bias field, Rician noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.noise import resized

SCALE = 600.0  # white matter on T1w in the stored integers
MARGIN_MM = 8.0  # air around the head in a scan


@dataclass(frozen=True)
class Grid:
    """A scanner's grid: shape, and affine (4, 4) voxel to world in mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def voxel(self) -> np.ndarray:
        """Voxel size (3,) in mm."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))


def scanner_grid(
    rng: np.random.Generator,
    mask: np.ndarray,
    affine: np.ndarray,
    voxel: tuple[float, float, float],
    oblique: bool,
) -> Grid:
    """A grid of axial slices around ``mask``.

    Parameters
    ----------
    mask : what must be covered (x, y, z), bool.
    affine : of the mask, axis-aligned.
    voxel : voxel size in mm.
    oblique : slightly turned, and stored with the first axis to the left, as scanners do; else
        axis-aligned and RAS+.
    """
    spacing = np.diag(affine)[:3]
    found = [np.flatnonzero(mask.any(axis=tuple(j for j in range(3) if j != i))) for i in range(3)]
    low = affine[:3, 3] + spacing * [where[0] for where in found]
    high = affine[:3, 3] + spacing * [where[-1] for where in found]
    x, y, z = np.ceil((high - low + 2 * MARGIN_MM) / np.array(voxel)).astype(int).tolist()
    shape = (x, y, z)
    turn = rotation(np.clip(rng.normal(0, 3, 3), -6, 6)) if oblique else np.eye(3)
    shift = np.clip(rng.normal(0, 2, 3), -4, 4) if oblique else np.zeros(3)
    flip = np.array([-1.0, 1.0, 1.0]) if oblique else np.ones(3)
    made = np.eye(4)
    made[:3, :3] = turn * (np.array(voxel) * flip)
    made[:3, 3] = (low + high) / 2 + shift - made[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, made)


def head_motion(rng: np.random.Generator) -> np.ndarray:
    """World-to-world motion (4, 4) of a head between two scans: below 2 mm and 2 degrees."""
    motion = np.eye(4)
    motion[:3, :3] = rotation(np.clip(rng.normal(0, 0.5, 3), -1.1, 1.1))
    motion[:3, 3] = np.clip(rng.normal(0, 0.5, 3), -1.1, 1.1)
    return motion


def sampled(
    volume: np.ndarray, affine: np.ndarray, grid: Grid, motion: np.ndarray | None = None
) -> np.ndarray:
    """A volume seen by a scanner's grid (float32): each voxel is the mean over its own extent.

    Averaging over the slice's thickness, and not point sampling, gives partial volume.

    Parameters
    ----------
    volume, affine : what is scanned (x, y, z), and its isotropic grid.
    motion : world-to-world (4, 4) of the head for this scan.
    """
    motion = np.eye(4) if motion is None else motion
    spacing = float(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).min())
    parts = np.maximum(1, np.ceil(grid.voxel / spacing - 0.3)).astype(int)
    fine = np.eye(4)
    fine[:3, :3] = np.diag(1 / parts)
    fine[:3, 3] = (1 / parts - 1) / 2
    matrix = np.linalg.inv(affine) @ motion @ grid.affine @ fine
    shape = tuple(int(n * k) for n, k in zip(grid.shape, parts))
    dense = ndimage.affine_transform(
        volume, matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=1, output=np.float32
    )
    for axis, count in enumerate(parts):
        if count > 1:
            split = (*dense.shape[:axis], -1, count, *dense.shape[axis + 1 :])
            dense = dense.reshape(split).mean(axis=axis + 1)
    return dense


def bias_field(rng: np.random.Generator, shape: tuple[int, ...], strength: float) -> np.ndarray:
    """Smooth factors (x, y, z) between exp(-strength) and exp(strength) with a mean log of 0."""
    coarse = ndimage.zoom(rng.standard_normal((4, 4, 4)), 6, order=3, mode="nearest")
    coarse -= coarse.mean()
    coarse /= np.abs(coarse).max()
    steps = [(c - 1) / max(n - 1, 1) for c, n in zip(coarse.shape, shape)]
    field = resized(coarse, steps, shape)
    return np.exp(np.float32(strength) * field)


def rician(rng: np.random.Generator, clean: np.ndarray, noise: float) -> np.ndarray:
    """Magnitude (x, y, z) of the signal with complex Gaussian noise of deviation ``noise``."""
    draw = rng.standard_normal((2, *clean.shape), dtype=np.float32) * np.float32(noise)
    return np.hypot(clean + draw[0], draw[1])


def stored(volume: np.ndarray, inside: np.ndarray | None) -> np.ndarray:
    """Integers (int16) as a scanner stores them; outside of ``inside`` zero, inside above it."""
    counts = np.clip(np.rint(volume * SCALE), 0, 32767).astype(np.int16)
    return counts if inside is None else np.where(inside, np.maximum(counts, 1), 0).astype(np.int16)


def rotation(degrees: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) about x, then y, then z."""
    a, b, c = np.radians(degrees)
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rz @ ry @ rx
