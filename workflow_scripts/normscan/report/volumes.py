"""Volumes inside a page: cropped, in few steps, as NIfTI, gzip and base64."""

from __future__ import annotations

import base64
import gzip

import nibabel
import numpy as np

# What is only looked at, and what thresholds are applied to: of a map of ranks, with all thresholds
# near its end, 256 steps put up to 7 % more or fewer voxels above one; 4096 half a percent.
SEEN, COMPARED = 255, 4095
MARGIN = 2
Box = tuple[slice, slice, slice]


def box_of(mask: np.ndarray, margin: int = MARGIN) -> Box:
    """The box of voxels that holds a mask (x, y, z) and a margin; all of it when it is empty."""
    places = np.nonzero(mask)
    if not len(places[0]):
        first, last = np.zeros(3, int), np.array(mask.shape)
    else:
        first = np.array([max(0, one.min() - margin) for one in places])
        last = np.array([one.max() + 1 + margin for one in places])
    x, y, z = (
        slice(int(one), min(int(end), size)) for one, end, size in zip(first, last, mask.shape)
    )
    return x, y, z


def shifted(affine: np.ndarray, box: Box) -> np.ndarray:
    """The affine (4, 4) of what is cut out of a volume: its voxel 0 is where the box begins."""
    moved = np.array(affine, float)
    moved[:3, 3] += moved[:3, :3] @ [one.start for one in box]
    return moved


def in_steps(volume: np.ndarray, steps: int = SEEN) -> tuple[np.ndarray, float, float]:
    """(values in steps (uint8, of more than 256 uint16), slope, intercept).

    value = slope * step + intercept, no value further than half a step from what it was. The range
    always reaches to 0: zero stays zero in volumes that are nowhere negative. Masks and label maps
    (bool, uint8) stay as they are.
    """
    if volume.dtype in (bool, np.uint8):
        return volume.astype(np.uint8), 1.0, 0.0
    low, high = min(0.0, float(volume.min())), max(0.0, float(volume.max()))
    slope = (high - low) / steps or 1.0
    # In double precision: a step must not depend on the volume's own.
    whole = np.rint((volume.astype(float) - low) / slope)
    return whole.astype(np.uint8 if steps <= SEEN else np.uint16), slope, low


def embedded(volume: np.ndarray, affine: np.ndarray, box: Box, steps: int = SEEN) -> str:
    """Base64 of the gzipped NIfTI of a volume (x, y, z) cut to a box; equal bytes for equal input.

    Parameters
    ----------
    volume : finite numbers, or a mask or label map (bool, uint8).
    affine : (4, 4) of the whole volume, mm.
    steps : how finely numbers are kept.
    """
    values, slope, intercept = in_steps(volume[box], steps)
    image = nibabel.Nifti1Image(values, shifted(affine, box))
    image.header.set_slope_inter(slope, intercept)
    image.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(image.to_bytes(), 6, mtime=0)).decode()
