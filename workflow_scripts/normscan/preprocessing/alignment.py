"""A first rigid alignment, good enough for a registration to start from.

Head scans differ in how much neck they show and how the head is tilted, so that aligning centres
of mass can start a registration in a wrong optimum. Here coarse starts are compared by the mutual
information inside the template's brain, and the best are refined.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from normscan.preprocessing.grids import Grid
from normscan.preprocessing.transforms import LPS

COARSE_MM = 5.0
BINS = 24
POINTS = 6000
PITCHES = (-24.0, -12.0, 0.0, 12.0, 24.0)
SHIFTS_ANTERIOR = (-20.0, 0.0, 20.0)
SHIFTS_SUPERIOR = (-45.0, -30.0, -15.0, 0.0, 15.0, 30.0, 45.0)
REFINED_STARTS = 4
FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))


def coarse_alignment(
    fixed: np.ndarray,
    fixed_grid: Grid,
    moving: np.ndarray,
    moving_grid: Grid,
    mask: np.ndarray | None = None,
    search: bool = True,
) -> np.ndarray:
    """Rigid transform that maps points of ``fixed`` to points of ``moving``.

    Parameters
    ----------
    mask : voxels of ``fixed`` that count; default all.
    search : try tilts and shifts as well; otherwise only the scanner's own coordinates and equal
        centres of mass, which is what two contrasts of one session need.

    Returns
    -------
    matrix : (4, 4) on LPS+ points in mm.
    """
    similarity = _Similarity(fixed, fixed_grid, moving, moving_grid, mask)
    starts = similarity.shifts()
    if not search:
        best = max(starts, key=similarity)
        return _to_lps(similarity.matrix(best))
    pitches = np.deg2rad(PITCHES)
    grid = [
        start + np.array([pitch, 0, 0, 0, anterior, superior])
        for start in starts
        for pitch, anterior, superior in itertools.product(
            pitches, SHIFTS_ANTERIOR, SHIFTS_SUPERIOR
        )
    ]
    scores = np.array([similarity(one) for one in grid])
    # A head that is where the scanner says it is should not lose to a lucky far start.
    refined = [_refine(similarity, grid[index]) for index in np.argsort(-scores)[:REFINED_STARTS]]
    refined.append(_refine(similarity, starts[0]))
    return _to_lps(similarity.matrix(max(refined, key=similarity)))


def _refine(similarity: _Similarity, start: np.ndarray) -> np.ndarray:
    # Ten degrees weigh as much as ten millimetres.
    scale = np.array([np.deg2rad(1.0)] * 3 + [1.0] * 3)
    simplex = np.vstack([np.zeros(6), np.eye(6) * 8])
    found = optimize.minimize(
        lambda step: -similarity(start + step * scale),
        np.zeros(6),
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": 250, "xatol": 0.3, "fatol": 1e-4},
    )
    return start + found.x * scale


class _Similarity:
    """Mutual information (nats) of two volumes under six rigid parameters, times their overlap."""

    def __init__(self, fixed, fixed_grid, moving, moving_grid, mask):
        smooth = _coarse(fixed, fixed_grid)
        stride = tuple(slice(None, None, max(round(COARSE_MM / s), 1)) for s in fixed_grid.spacing)
        places = np.moveaxis(np.indices(fixed.shape)[(slice(None), *stride)], 0, -1)
        places, values = places.reshape(-1, 3), smooth[stride].reshape(-1)
        if mask is not None:
            chosen = mask[stride].reshape(-1)
            places, values = places[chosen], values[chosen]
        places, values = places[:: len(places) // POINTS + 1], values[:: len(places) // POINTS + 1]
        self.points = _world(fixed_grid, places)
        self.centre = self.points.mean(axis=0)
        self.fixed_bins = _binned(values, *np.percentile(values, [1, 99]))
        self.moving = _coarse(moving, moving_grid)
        self.to_voxel = np.linalg.inv(moving_grid.affine)
        self.range = np.percentile(self.moving, [1, 99.5])
        self.moving_centre = _world(moving_grid, _centre_of_mass(self.moving))
        self.field_centre = _world(moving_grid, (np.array(moving.shape) - 1) / 2)

    def shifts(self) -> list[np.ndarray]:
        """Starts without rotation: the scanner's coordinates, centres of mass, centre of field."""
        ends = (self.centre, self.moving_centre, self.field_centre)
        return [np.concatenate([np.zeros(3), end - self.centre]) for end in ends]

    def matrix(self, parameters: np.ndarray) -> np.ndarray:
        """(4, 4) on RAS+ points; the rotation is about the centre of the mask."""
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("xyz", parameters[:3]).as_matrix()
        matrix[:3, 3] = self.centre + parameters[3:] - matrix[:3, :3] @ self.centre
        return matrix

    def __call__(self, parameters: np.ndarray) -> float:
        matrix = self.to_voxel @ self.matrix(parameters)
        voxels = matrix[:3, :3] @ self.points.T + matrix[:3, 3:]
        last = np.array(self.moving.shape)[:, None] - 1
        inside = ((voxels >= -0.5) & (voxels <= last + 0.5)).all(axis=0)
        if inside.mean() < 0.3:
            return 0.0
        values = ndimage.map_coordinates(
            self.moving, voxels[:, inside], order=1, mode="nearest", prefilter=False
        )
        pairs = self.fixed_bins[inside] * BINS + _binned(values, *self.range)
        joint = np.bincount(pairs, minlength=BINS * BINS).reshape(BINS, BINS) / inside.sum()
        independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
        filled = joint > 0
        information = (joint[filled] * np.log(joint[filled] / independent[filled])).sum()
        return float(information * inside.mean())


def _coarse(data: np.ndarray, grid: Grid) -> np.ndarray:
    excess = np.maximum(COARSE_MM**2 - grid.spacing**2, 0)
    sigma = np.sqrt(excess) * FWHM_TO_SIGMA / grid.spacing
    return ndimage.gaussian_filter(np.asarray(data, dtype=np.float32), sigma)


def _binned(values: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (values - low) * (BINS / max(high - low, 1e-12))
    return np.clip(scaled, 0, BINS - 1).astype(np.int64)


def _world(grid: Grid, places: np.ndarray) -> np.ndarray:
    return places @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def _centre_of_mass(data: np.ndarray) -> np.ndarray:
    return np.array(ndimage.center_of_mass(np.maximum(data, 0) + 1e-12))


def _to_lps(matrix: np.ndarray) -> np.ndarray:
    flip = np.eye(4)
    flip[:3, :3] = LPS
    return flip @ matrix @ flip
