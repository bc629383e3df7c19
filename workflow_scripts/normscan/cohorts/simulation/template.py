"""The template brain and head that every simulated subject is a deformation of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy import ndimage

from normscan.cohorts.simulation.head import HEAD_TISSUES, head_fractions
from normscan.cohorts.simulation.noise import resized
from normscan.errors import NormscanError
from normscan.files import load_nifti

BRAIN_TISSUES = ("csf", "gm", "wm")
TISSUES = BRAIN_TISSUES + HEAD_TISSUES
LOW_MM = np.array([-98.0, -134.0, -106.0])  # world position of the first voxel
SIZE_MM = np.array([196.0, 244.0, 222.0])  # of the field of view, from voxel centre to voxel centre


@dataclass(frozen=True)
class Template:
    """Template head on an isotropic grid in MNI space (RAS+, mm).

    ``fractions`` (8, x, y, z) in the order of TISSUES, sum at most 1; ``brain`` (x, y, z) in
    [0, 1]; ``ventricles`` (x, y, z) in [0, 1]; ``depth`` (x, y, z) in mm below the brain's
    surface, 0 outside; ``affine`` (4, 4).
    """

    fractions: np.ndarray
    brain: np.ndarray
    ventricles: np.ndarray
    depth: np.ndarray
    affine: np.ndarray
    spacing: float


@cache
def template(spacing: float) -> Template:
    """The template head with voxels of ``spacing`` mm.

    Source: tissue maps of the symmetric ICBM 152 average 2009a (Fonov et al. 2011), 1 mm, as
    bundled with nilearn; they show the brain only. The head is made, see ``head_fractions``.
    """
    affine = template_affine(spacing)
    shape = template_shape(spacing)
    t1, _ = _icbm("t1")
    whole = ndimage.binary_fill_holes(ndimage.binary_closing(t1 > 0.05, iterations=2))
    brain = _resampled(whole.astype(np.float32), _icbm("t1")[1], affine, shape)
    gm, wm = (_resampled(*_icbm(kind), affine, shape) for kind in ("gm", "wm"))
    over = np.minimum(1.0, brain / np.maximum(gm + wm, 1e-6))
    gm, wm = gm * over, wm * over
    csf = np.clip(brain - gm - wm, 0, 1)
    inside = brain > 0.5
    depth = ndimage.distance_transform_edt(inside, sampling=spacing).astype(np.float32)
    fractions = np.stack([csf, gm, wm, *np.zeros((len(HEAD_TISSUES), *shape), np.float32)])
    for name, fraction in head_fractions(inside, affine, spacing).items():
        fractions[TISSUES.index(name)] += fraction * (1 - brain)
    fractions /= np.maximum(fractions.sum(axis=0), 1)
    ventricles = _largest((csf > 0.6) & (depth > 22)).astype(np.float32)
    true_brain = gm + wm + csf * _enclosed(gm + wm, spacing)
    return Template(fractions, true_brain, ventricles, depth, affine, spacing)


def template_affine(spacing: float) -> np.ndarray:
    """Affine (4, 4) of the template's grid."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = LOW_MM
    return affine


def template_shape(spacing: float) -> tuple[int, int, int]:
    """Shape of the template's grid."""
    x, y, z = np.ceil(SIZE_MM / spacing).astype(int) + 1
    return int(x), int(y), int(z)


@cache
def _icbm(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A map (x, y, z) in [0, 1] and its affine, read from nilearn's own folder."""
    package = find_spec("nilearn")
    if package is None or not package.submodule_search_locations:
        raise NormscanError("nilearn is not installed; simulated cohorts need its brain maps")
    folder = Path(package.submodule_search_locations[0]) / "datasets" / "data"
    path = folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
    if not path.exists():
        raise NormscanError(f"{path}: no such file; simulated cohorts need nilearn 0.10 to 0.13")
    data, affine = load_nifti(path)
    return data / data.max(), affine.astype(float)


def _resampled(volume: np.ndarray, source: np.ndarray, affine: np.ndarray, shape) -> np.ndarray:
    """A volume on the template's grid, smoothed first when that is coarser."""
    factor = affine[0, 0] / abs(source[0, 0])
    smooth = ndimage.gaussian_filter(volume, 0.35 * factor) if factor > 1 else volume
    matrix = np.linalg.inv(source) @ affine
    return resized(smooth, np.diag(matrix)[:3].tolist(), shape, matrix[:3, 3].tolist())


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    return labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())


def _enclosed(solid: np.ndarray, spacing: float) -> np.ndarray:
    """One where CSF belongs to the brain (sulci, ventricles), zero in the layer around it."""
    reach = max(1, round(9 / spacing))
    near = np.pad(solid > 0.3, reach + 1)
    # Closing by distance: a ball of 9 mm, many times faster than repeated erosion.
    grown = ndimage.distance_transform_edt(~near, sampling=spacing) <= 9
    closed = ndimage.distance_transform_edt(grown, sampling=spacing) > 9
    keep = slice(reach + 1, -reach - 1)
    return ndimage.binary_fill_holes(closed[keep, keep, keep]).astype(np.float32)
