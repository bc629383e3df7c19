"""A scan at its own resolution, laid in atlas space for the viewer without any resampling.

An affine registration says where every voxel of the scan as it came lies in atlas space. So the
scan's own voxels, with that affine, are a volume in atlas space: all that is drawn over it, and all
places in mm, stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import io, ndimage

from normscan.errors import NormscanError
from normscan.files import nifti_values, open_nifti
from normscan.preprocessing.grids import Grid
from normscan.report.numbers import count
from normscan.report.volumes import Box, embedded, shifted
from normscan.slices.index import ScanEntry

# Voxels of a page, one byte each before they are packed: a brain at 0.7 mm fits, at 0.5 mm not.
LIMIT = 12 * 2**20
MARGIN_MM = 5.0
# Percentiles inside of the brain: what is shown black and white, and where values are cut (below
# only negative ones).
SHOWN, CUT = (0.5, 99.5), (0.1, 99.9)
WARP = ".nii.gz"
# Transforms are of LPS+ points, affines of RAS+ ones.
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


class NotShown(NormscanError):
    """There are no own voxels to be shown; the message is a sentence that says why."""


def native_from_atlas(transforms: Sequence[str]) -> np.ndarray:
    """The (4, 4) matrix that takes places in atlas space to those in the scan, both RAS+ mm.

    The files are read without ANTs, which pages of scans do without.

    Parameters
    ----------
    transforms : affines (ANTs ``.mat`` files) in ANTs order: the first is applied first.

    Raises
    ------
    NotShown : a transform deforms, or cannot be read.
    """
    matrix = np.eye(4)
    for path in transforms:
        if path.endswith(WARP):
            raise NotShown(
                "The scan's own voxels are not shown: it was deformed to fit the atlas, so that "
                "they lie on no regular grid in atlas space."
            )
        matrix = _matrix(path) @ matrix
    return FLIP @ matrix @ FLIP


def _matrix(path: str) -> np.ndarray:
    """What an ANTs ``.mat`` file holds, on LPS+ points."""
    try:
        found = io.loadmat(path)
        (name,) = (one for one in found if one != "fixed" and not one.startswith("__"))
        parameters, centre = found[name].ravel(), found["fixed"].ravel()
        matrix = np.eye(4)
        matrix[:3, :3] = parameters[:9].reshape(3, 3)
        matrix[:3, 3] = parameters[9:12] + centre - matrix[:3, :3] @ centre
    except (OSError, ValueError, KeyError, TypeError):
        raise NotShown(
            f"The scan's own voxels are not shown: {Path(path).name}, which brings it to the "
            "atlas, cannot be read."
        ) from None
    return matrix


def own_layer(
    entry: ScanEntry, contrast: str, brain: np.ndarray, room: int = LIMIT
) -> dict[str, Any]:
    """A background of the viewer: the scan as it was given, in atlas mm.

    Parameters
    ----------
    entry : names transforms and native volume.
    brain : (x, y, z) bool on the slice grid of ``entry``.
    room : voxels that the page still has room for.

    Returns
    -------
    layer : as of ``viewer.layer``; ``stands_for``, the contrast, ``voxels``, their size in words,
        and ``amount``, how many there are.

    Raises
    ------
    NotShown : deformed, too large, or not there.
    """
    path, files = entry.native.get(contrast), entry.transforms.get(contrast)
    if not path or not files:
        raise NotShown(
            f"The scan's own voxels are not shown: nothing says where its {contrast} lies in atlas "
            "space."
        )
    matrix = native_from_atlas(files)
    try:
        grid = Grid.of(path)
        affine = np.linalg.inv(matrix) @ grid.affine
        box = box_in(grid.shape, affine, brain, np.asarray(entry.affine, float))
        amount = int(np.prod([one.stop - one.start for one in box]))
        if amount > room:
            raise NotShown(
                f"The scan's own voxels are not shown: {count(amount, 'voxel')} of its {contrast} "
                f"around the brain are more than the {count(room, 'voxel')} that this page has "
                "room for."
            )
        values = nifti_values(open_nifti(path), path).reshape(grid.shape)[box].astype(np.float32)
    except NotShown:
        raise
    except NormscanError:
        raise NotShown(
            f"The scan's own voxels are not shown: its {contrast}, as it was given, cannot be read."
        ) from None
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    inside = carried(brain, np.asarray(entry.affine, float), shifted(affine, box), values.shape)
    within = values[inside] if inside.any() else values.ravel()
    (low, high), (bottom, top) = (np.percentile(within, ends) for ends in (SHOWN, CUT))
    values = np.clip(values, min(0.0, bottom), top)
    return {
        "kind": "scan",
        "name": f"{contrast}, own voxels",
        "stands_for": contrast,
        "voxels": voxel_size(grid.affine),
        "amount": amount,
        "low": float(low),
        "high": float(high if high > low else low + 1),
        "nifti": embedded(values, shifted(affine, box), whole(values.shape)),
    }


def box_in(
    shape: Sequence[int], affine: np.ndarray, brain: np.ndarray, brain_affine: np.ndarray
) -> Box:
    """The box of a grid (``shape``, ``affine``) that holds a brain on another, and a margin.

    Without any brain in it, it is all of the grid.
    """
    voxels = np.argwhere(brain)
    if not len(voxels):
        return whole(shape)
    # Two corners of each voxel; the margin makes up for the other six.
    ends = np.concatenate([voxels - 0.5, voxels + 0.5])
    to_grid = np.linalg.inv(affine) @ brain_affine
    places = ends @ to_grid[:3, :3].T + to_grid[:3, 3]
    margin = MARGIN_MM / np.linalg.norm(affine[:3, :3], axis=0)
    first = np.floor(places.min(axis=0) - margin).astype(int)
    last = np.ceil(places.max(axis=0) + margin).astype(int)
    first, last = np.maximum(first, 0), np.minimum(last, np.array(shape) - 1)
    if (first > last).any():
        return whole(shape)
    x, y, z = (slice(int(one), int(end) + 1) for one, end in zip(first, last))
    return x, y, z


def whole(shape: Sequence[int]) -> Box:
    """All of a volume as a box."""
    x, y, z = (slice(0, int(size)) for size in shape)
    return x, y, z


def carried(
    mask: np.ndarray, affine: np.ndarray, other: np.ndarray, shape: Sequence[int]
) -> np.ndarray:
    """A mask (bool) on another grid in the same space: that of its nearest voxel."""
    matrix = np.linalg.inv(affine) @ other
    return ndimage.affine_transform(
        np.asarray(mask, np.uint8), matrix[:3, :3], matrix[:3, 3], tuple(shape), order=0
    ).astype(bool)


def voxel_size(affine: np.ndarray) -> str:
    """The size of a grid's voxels in words."""
    sizes = np.linalg.norm(np.asarray(affine, float)[:3, :3], axis=0)
    return " × ".join(f"{size:.3g}" for size in sizes) + " mm"


def own_of_packs(
    packs: Mapping[str, tuple[ScanEntry, str, np.ndarray]],
) -> dict[str, dict[str, Any]]:
    """What a page says of its scan's own voxels, pack by pack, as far as it has room.

    Parameters
    ----------
    packs : name -> entry of the scan, the contrast that its maps are of, its brain.

    Returns
    -------
    found : name -> ``own``, a layer or None; ``own_note``, why there is none; ``voxels``, the size
        of those of the slice grid.
    """
    room, found = LIMIT, {}
    for name, (entry, contrast, brain) in packs.items():
        layer, note, size = None, "", voxel_size(np.asarray(entry.affine, float))
        try:
            layer = own_layer(entry, contrast, brain, room)
            room -= layer.pop("amount")
        except NotShown as reason:
            note = str(reason)
        found[name] = {"own": layer, "own_note": note, "voxels": size}
    return found
