"""A head made of ellipsoids, defined everywhere in space: any grid can sample it exactly."""

import numpy as np
from scipy import ndimage

from normscan.files import save_nifti
from normscan.preprocessing.grids import Grid

T1W = {"scalp": 900.0, "bone": 60.0, "csf": 200.0, "grey": 500.0, "white": 800.0, "spot": 1100.0}
FLAIR = {"scalp": 700.0, "bone": 40.0, "csf": 80.0, "grey": 600.0, "white": 450.0, "spot": 1000.0}


def ellipsoid(points, centre, radii):
    """Points (..., 3) inside of an ellipsoid (mm)."""
    return (((points - np.asarray(centre)) / np.asarray(radii)) ** 2).sum(axis=-1) <= 1


def tissue(points):
    """Names of tissues as an array of strings at points (..., 3) in RAS+ mm."""
    names = np.full(points.shape[:-1], "air", dtype="U5")
    folds = 4 * np.sin(points[..., 0] / 7) * np.sin(points[..., 1] / 9) * np.sin(points[..., 2] / 8)
    names[ellipsoid(points, (0, 0, 0), (80, 98, 78))] = "scalp"
    names[ellipsoid(points, (0, 0, 0), (73, 91, 71))] = "bone"
    names[brain(points)] = "csf"
    shrunk = points / (1 + folds[..., None] / 60)
    names[ellipsoid(shrunk, (0, 0, 0), (61, 78, 58)) & brain(points)] = "grey"
    names[ellipsoid(shrunk, (0, 2, 4), (50, 66, 44)) & brain(points)] = "white"
    for side in (-1, 1):
        names[ellipsoid(points, (side * 12, -2, 8), (7, 26, 10))] = "csf"
        names[ellipsoid(points, (side * 24, 6, 0), (8, 16, 10))] = "grey"
    # Brain stem and cerebellum tell top from bottom and front from back.
    names[ellipsoid(points, (0, -42, -36), (34, 22, 16))] = "grey"
    names[spot(points)] = "spot"
    return names


def brain(points):
    """Brain mask at points."""
    return ellipsoid(points, (0, 0, 0), (66, 84, 64))


def spot(points):
    """A bright blob on the right side only."""
    return ellipsoid(points, (36, 24, 22), (9, 9, 9))


def points_of(grid):
    """World coordinates (..., 3) of a grid's voxel centres."""
    places = np.moveaxis(np.indices(grid.shape), 0, -1)
    return places @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def head(grid, values=T1W, pose=None, skull=True, seed=0, noise=10.0):
    """The head on a grid as float32 array; ``pose`` (4, 4) moves it in the world (RAS+)."""
    points = points_of(grid)
    if pose is not None:
        inverse = np.linalg.inv(pose)
        points = points @ inverse[:3, :3].T + inverse[:3, 3]
    names = tissue(points)
    image = np.zeros(grid.shape, dtype=np.float32)
    for name, value in values.items():
        image[names == name] = value
    image = ndimage.gaussian_filter(image, 0.6)
    if not skull:
        image[~brain(points)] = 0
    noisy = image + np.random.default_rng(seed).normal(0, noise, image.shape)
    return np.where(image > 1, noisy, 0).astype(np.float32)


def mask(grid, of, pose=None):
    """Mask of one of the functions above on a grid."""
    points = points_of(grid)
    if pose is not None:
        inverse = np.linalg.inv(pose)
        points = points @ inverse[:3, :3].T + inverse[:3, 3]
    return of(points)


def grid(spacing, half=(84, 102, 82), affine=None):
    """A centred grid; spacing (3,) in mm; ``affine``: further rotation and shift (4, 4)."""
    spacing = np.broadcast_to(np.asarray(spacing, dtype=float), 3)
    shape = tuple(int(np.ceil(2 * h / s)) for h, s in zip(half, spacing))
    own = np.diag([*spacing, 1.0])
    own[:3, 3] = -(np.array(shape) - 1) / 2 * spacing
    return Grid(shape, own if affine is None else affine @ own)


def rigid(angles_deg, shift):
    """A rigid (4, 4) transform: rotations about x, y, z and a shift in mm."""
    from scipy.spatial.transform import Rotation

    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    pose[:3, 3] = shift
    return pose


def save(path, data, where, dtype=np.float32):
    """Write a phantom; returns its path as text."""
    save_nifti(path, data, where.affine, dtype)
    return str(path)


POSE = rigid((6, -4, 5), (7, -9, 11))
