"""The template that simulated subjects are made from: tissue maps with a head around the brain."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
from scipy import ndimage

TISSUES = ("csf", "gm", "wm", "bone", "marrow", "fat", "muscle", "eye")
PAD_MM = ((20, 20), (22, 22), (30, 18))  # room for the head: below and above on each axis


@cache
def template(spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tissue fractions, ventricle mask and affine of the template head.

    The brain is the ICBM152 2009a symmetric average (Fonov et al. 2011) as bundled with nilearn;
    the head is made of shells of CSF, bone and scalp by distance, with eyes, face and neck.

    Parameters
    ----------
    spacing : isotropic voxel size in mm.

    Returns
    -------
    fractions (8, x, y, z) float32 in [0, 1] in the order of TISSUES, brain (x, y, z) in [0, 1],
    ventricles (x, y, z) bool, affine (4, 4) in mm, RAS+.
    """
    gm, affine = _icbm("gm")
    wm, _ = _icbm("wm")
    t1, _ = _icbm("t1")
    brain = ndimage.binary_fill_holes(ndimage.binary_closing(t1 > 0.05 * t1.max(), iterations=2))
    gm, wm, brain_fraction = (
        _resampled(volume, affine, spacing) for volume in (gm, wm, brain.astype(np.float32))
    )
    grid = affine.copy()
    grid[:3, :3] *= spacing / np.abs(affine[0, 0])
    pad = [(int(round(low / spacing)), int(round(high / spacing))) for low, high in PAD_MM]
    gm, wm, brain_fraction = (np.pad(volume, pad) for volume in (gm, wm, brain_fraction))
    grid[:3, 3] -= grid[:3, :3] @ np.array([low for low, _ in pad], float)
    inside = brain_fraction > 0.5
    total = np.maximum(gm + wm, 1e-6)
    over = np.minimum(1.0, brain_fraction / total)
    gm, wm = gm * over, wm * over
    csf = np.clip(brain_fraction - gm - wm, 0, 1)
    fractions = np.zeros((len(TISSUES), *inside.shape), np.float32)
    fractions[:3] = csf, gm, wm
    _add_head(fractions, inside, brain_fraction, grid, spacing)
    depth = ndimage.distance_transform_edt(inside, sampling=spacing)
    ventricles = (csf > 0.6) & (depth > 22)
    brain = fractions[1:3].sum(axis=0) + fractions[0] * _inner(fractions)
    return fractions, brain, _largest(ventricles), grid


def _icbm(kind: str) -> tuple[np.ndarray, np.ndarray]:
    import nibabel

    name = f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
    image = nibabel.load(str(files("nilearn.datasets") / "data" / name))
    data = np.asanyarray(image.dataobj).astype(np.float32)
    return data / data.max(), np.asarray(image.affine, float)


def _resampled(volume: np.ndarray, affine: np.ndarray, spacing: float) -> np.ndarray:
    """Volume on a coarser grid with the same first voxel."""
    factor = spacing / np.abs(affine[0, 0])
    smooth = ndimage.gaussian_filter(volume, 0.35 * factor) if factor > 1 else volume
    shape = [int(np.ceil(n / factor)) for n in volume.shape]
    return ndimage.affine_transform(
        smooth, np.diag([factor] * 3), output_shape=shape, order=1, output=np.float32
    )


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return labels == 1 + int(sizes.argmax())


def _add_head(fractions, inside, brain_fraction, grid, spacing) -> None:
    """Shells around the brain, eyes, face and neck; fractions sum to at most one."""
    shape = inside.shape
    x, y, z = np.meshgrid(
        *(grid[i, 3] + grid[i, i] * np.arange(shape[i]) for i in range(3)), indexing="ij"
    )
    far = ndimage.distance_transform_edt(~inside, sampling=spacing)
    head = far < 15
    face = ((x / 62) ** 2 + ((y - 38) / 62) ** 2 + ((z + 62) / 62) ** 2) < 1
    neck = ((x / 55) ** 2 + ((y + 22) / 60) ** 2 < 1) & (z < -45)
    head = ndimage.binary_closing(head | face | neck, iterations=max(1, int(6 / spacing)))
    skin = ndimage.distance_transform_edt(head, sampling=spacing)
    eyes = np.zeros(shape, bool)
    for side in (-1, 1):
        eyes |= (x - side * 32) ** 2 + (y - 68) ** 2 + (z + 38) ** 2 < 12.5**2
    outside = head & ~inside
    layers = {
        "csf": outside & (far < 2.5),
        "bone": outside & (far >= 2.5) & (far < 9),
        "eye": eyes & outside & (far >= 2.5),
        "fat": outside & (far >= 9) & (skin < 6),
        "muscle": outside & (far >= 9) & (skin >= 6),
    }
    layers["marrow"] = layers["bone"] & (far > 4.5) & (far < 7) & ~eyes
    layers["bone"] &= ~layers["marrow"] & ~eyes
    for name in ("fat", "muscle"):
        layers[name] &= ~layers["eye"]
    room = 1 - brain_fraction
    for name, mask in layers.items():
        soft = ndimage.gaussian_filter(mask.astype(np.float32), 0.5)
        fractions[TISSUES.index(name)] += soft * room
    total = fractions.sum(axis=0)
    fractions /= np.maximum(total, 1)


def _inner(fractions: np.ndarray) -> np.ndarray:
    """One where CSF belongs to the brain (sulci, ventricles), zero in the shell around it."""
    solid = fractions[1:3].sum(axis=0) > 0.3
    closed = ndimage.binary_closing(np.pad(solid, 8), iterations=6)[8:-8, 8:-8, 8:-8]
    return ndimage.binary_fill_holes(closed).astype(np.float32)
