"""The head around the template brain: skull, scalp, face, eyes, airways, spine, by geometry."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.noise import resized, smooth_noise

HEAD_TISSUES = ("bone", "marrow", "fat", "muscle", "eye")
CSF_MM, SKULL_MM, SCALP_MM = 2.5, 9.0, 15.0  # outer limits of the shells around the brain
CORD = (0.0, -45.0)  # x and y of the spinal cord below the brainstem
TEXTURE_SEED = 20090  # of the fat between the muscles, the same in every head


def head_fractions(inside: np.ndarray, affine: np.ndarray, spacing: float) -> dict[str, np.ndarray]:
    """Fractions (x, y, z) in [0, 1] of what surrounds the brain, by tissue name.

    A made-up head, so that skull stripping has work to do: shells of CSF, bone with marrow, and
    scalp by distance from the brain; face, nose, neck, orbits, sinuses, airway and spine as
    simple solids in MNI coordinates. It is meant to look right, not to measure anything.

    Parameters
    ----------
    inside : brain (x, y, z), bool.
    affine, spacing : of the grid, in mm.
    """
    axes = [affine[i, 3] + affine[i, i] * np.arange(n) for i, n in enumerate(inside.shape)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    far = ndimage.distance_transform_edt(~inside, sampling=spacing).astype(np.float32)
    # The skull is not equally thick everywhere.
    thick = 1 + 0.18 * np.sin(x / 23.0) * np.cos(y / 31.0) + 0.12 * np.sin(z / 19.0 + y / 40.0)
    face = _ellipsoid(x, y, z, (0, 32, -58), (66, 60, 72)) < 1
    nose = _ellipsoid(x, y, z, (0, 92, -58), (13, 19, 22)) < 1
    brow = _ellipsoid(x, y, z, (0, 62, -18), (48, 26, 22)) < 1
    neck = ((x / 60) ** 2 + ((y + 28) / 66) ** 2 < 1) & (z < -40)
    head = _closed((far < SCALP_MM) | face | nose | brow | neck, 7.0, spacing)
    skin = ndimage.distance_transform_edt(head, sampling=spacing)

    label = np.zeros(inside.shape, np.uint8)
    code = {name: i + 1 for i, name in enumerate(("csf", "wm", *HEAD_TISSUES))}
    label[head] = code["muscle"]
    rng = np.random.default_rng(TEXTURE_SEED)
    label[head & (skin >= 1.5) & (skin < 6)] = code["fat"]
    airway = _airways(x, y, z, _patches(rng, inside.shape, spacing, 3.0) > 0) & (skin > 4)
    label[_grown(airway, 2.0, spacing) & head & (skin > 4)] = code["bone"]
    label[airway] = 0
    _paint_eyes(label, code, head & (far > 4), x, y, z)
    _paint_spine(label, code, head & (far > CSF_MM), x, y, z)
    opening = ((x - CORD[0]) ** 2 + (y - CORD[1]) ** 2 < 17**2) & (z < -62)
    skull = (far < SKULL_MM * thick) & head & ~opening
    label[skull] = code["bone"]
    label[skull & (far > 4.2) & (far < SKULL_MM * thick - 1.6) & (z > -45)] = code["marrow"]
    label[far < CSF_MM] = code["csf"]
    _paint_cord(label, code, x, y, z, far > 0)
    label[inside] = 0
    found = {
        name: ndimage.gaussian_filter((label == value).astype(np.float32), 0.6 / spacing)
        for name, value in code.items()
    }
    # Fat lies between the muscles in strands.
    strands = np.clip(0.25 + 0.14 * _patches(rng, inside.shape, spacing, 2.2), 0, 0.75)
    deep = found["muscle"] * np.where(skin > 6, strands, 0)
    found["fat"] += deep
    found["muscle"] -= deep
    return found


def _paint_eyes(label, code, where, x, y, z) -> None:
    """Orbits of fat with an eyeball, its lens and the optic nerve."""
    for side in (-1, 1):
        socket = _ellipsoid(x, y, z, (side * 31, 56, -36), (19, 24, 17)) < 1
        label[socket & where] = code["fat"]
        along = np.clip((y - 22) / 46, 0, 1)  # from the chiasm to the eye
        cone = (x - side * (7 + 25 * along)) ** 2 + (z + 30 + 6 * along) ** 2
        orbit = socket & where & (y < 66)
        label[orbit & (cone < 2.4**2)] = code["muscle"]
        label[orbit & (np.abs(np.sqrt(cone) - 14 * along) < 1.6) & (y > 30)] = code["muscle"]
        ball = (x - side * 32) ** 2 + (y - 66) ** 2 + (z + 36) ** 2
        label[(ball < 13**2) & where] = code["muscle"]
        label[(ball < 11.8**2) & where] = code["eye"]
        lens = _ellipsoid(x, y, z, (side * 32, 75, -36), (4.5, 2.2, 4.5)) < 1
        label[lens & where] = code["muscle"]


def _airways(x, y, z, cells: np.ndarray) -> np.ndarray:
    """Nose, sinuses, pharynx and mastoid cells: air."""
    air = (np.abs(x) < 13) & (y > 42) & (y < 88) & (z > -76) & (z < -42) & cells
    for side in (-1, 1):
        air = air | (_ellipsoid(x, y, z, (side * 27, 54, -66), (12, 16, 15)) < 1)
        air |= (_ellipsoid(x, y, z, (side * 56, -28, -46), (9, 12, 14)) < 1) & cells
        air |= ((y + 14) ** 2 + (z + 44) ** 2 < 3.5**2) & (side * x > 54)
    air |= _ellipsoid(x, y, z, (0, 34, -42), (13, 11, 9)) < 1
    air |= _ellipsoid(x, y, z, (0, 80, -6), (17, 5, 11)) < 1
    return air | (_ellipsoid(x, y, z, (0, 6, -100), (9, 6, 42)) < 1)


def _paint_spine(label, code, where, x, y, z) -> None:
    """Vertebral bodies with marrow, discs between them, and an arch behind the cord."""
    body = ((x / 13) ** 2 + ((y + 24) / 10) ** 2 < 1) & (z < -76) & where
    label[body] = code["bone"]
    label[body & ((x / 11) ** 2 + ((y + 24) / 8) ** 2 < 1) & (np.mod(z, 19) > 4.5)] = code["marrow"]
    arch = (x**2 + (y + 62) ** 2 < 9**2) & (np.mod(z, 19) > 9) & (z < -80) & where
    label[arch] = code["marrow"]


def _paint_cord(label, code, x, y, z, where) -> None:
    """The spinal cord in its canal, below the brainstem."""
    radius = np.sqrt((x - CORD[0]) ** 2 + ((y - CORD[1]) * 1.15) ** 2)
    label[(radius < 9.5) & (z < -70) & where] = code["csf"]
    cord = 6.0 + 2.5 * np.clip((z + 80) / 10, 0, 1)
    label[(radius < cord) & (z < -70) & where] = code["wm"]


def _ellipsoid(x, y, z, centre, radii) -> np.ndarray:
    """Squared distance from the centre in units of the radii: below 1 inside."""
    parts = zip((x, y, z), centre, radii)
    return sum(((axis - middle) / radius) ** 2 for axis, middle, radius in parts)


def _grown(mask: np.ndarray, reach: float, spacing: float) -> np.ndarray:
    return ndimage.distance_transform_edt(~mask, sampling=spacing) <= reach


def _closed(mask: np.ndarray, reach: float, spacing: float) -> np.ndarray:
    """Closing with a ball of ``reach`` mm; what touches the grid's end stays."""
    width = int(np.ceil(reach / spacing)) + 1
    grown = _grown(np.pad(mask, width, mode="edge"), reach, spacing)
    grown = np.pad(grown, width, mode="edge")
    closed = ndimage.distance_transform_edt(grown, sampling=spacing) > reach
    keep = slice(2 * width, -2 * width)
    return closed[keep, keep, keep] | mask


def _patches(rng, shape, spacing: float, size: float) -> np.ndarray:
    """Smooth noise (x, y, z) of unit variance with patches of some ``size`` mm."""
    coarse = [int(np.ceil(n * spacing / size)) + 2 for n in shape]
    return resized(smooth_noise(rng, coarse, 1.0), spacing / size, shape)
