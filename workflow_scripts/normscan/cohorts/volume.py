"""A volume as it is read for the checks, or why it cannot be; whether two lie on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from normscan.cohorts.plausibility import Finding, header_warnings

VOXEL_MM = (0.2, 12.0)
GRID_TOLERANCE_MM = 0.01


@dataclass(frozen=True)
class Volume:
    """A volume as read: data (float32, 3D), affine (4, 4), voxel sizes in mm, type on disk, and
    what is odd about its header."""

    data: np.ndarray
    affine: np.ndarray
    zooms: np.ndarray
    dtype: str
    odd: list[Finding]


def read(path: str) -> tuple[Volume | None, list[Finding]]:
    """The volume, or why there is none."""
    import nibabel

    file = Path(path)
    if not file.is_file():
        return None, [("no such file", "restore it or exclude the scan")]
    if file.stat().st_size == 0:
        return None, [("the file is empty (0 bytes)", "copy it again")]
    try:
        zooms = _stored_zooms(file)
        if wrong := _size_problems(zooms):
            return None, wrong
        image = nibabel.load(file)
        if not isinstance(image, nibabel.Nifti1Pair):
            raise TypeError(f"it is {type(image).__name__}")
    except Exception as error:
        return None, [(f"not a NIfTI file ({_short(error)})", "convert it or copy it again")]
    shape = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 2:
        return None, [
            (f"is no 3D volume (its shape is {shown_sizes(image.shape)})", "give a 3D volume")
        ]
    kind = image.get_data_dtype()
    if kind.names or kind.kind == "c":
        return None, [(f"holds colours or complex numbers ({kind})", "give one number per voxel")]
    try:
        data = image.get_fdata(dtype=np.float32, caching="unchanged").reshape(shape, order="F")
    except Exception as error:
        return None, [(f"truncated or damaged ({_short(error)})", "copy it again")]
    affine = np.asarray(image.affine, float)
    wrong = _affine_problems(affine)
    if wrong:
        return None, wrong
    odd = header_warnings(image.header, shape)
    return Volume(data, affine, _sizes(affine), str(kind), odd), []


def _stored_zooms(file: Path) -> np.ndarray:
    """Voxel sizes as they stand in the header; nibabel mends zero and negative ones unasked."""
    import nibabel
    from nibabel.fileholders import FileHolder

    with FileHolder(filename=str(file)).get_prepare_fileobj("rb") as stream:
        start = stream.read(540)
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        size = kind.template_dtype.itemsize
        if len(start) >= size:
            header = kind(start[:size], check=False)
            if int(header["sizeof_hdr"]) == size:
                return np.array(header["pixdim"][1:4], float)
    raise ValueError("it has no NIfTI header")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _sizes(affine: np.ndarray) -> np.ndarray:
    return np.sqrt((affine[:3, :3] ** 2).sum(axis=0))


def _size_problems(sizes: np.ndarray) -> list[Finding]:
    found = f"has voxels of {shown_sizes([f'{size:g}' for size in sizes])} mm"
    if not np.isfinite(sizes).all() or (sizes <= 0).any():
        return [(found, "voxel sizes must be above 0: mend the header")]
    if (sizes < VOXEL_MM[0]).any() or (sizes > VOXEL_MM[1]).any():
        limits = f"{VOXEL_MM[0]:g} to {VOXEL_MM[1]:g} mm"
        return [(found, f"voxel sizes must be {limits}: mend the header")]
    return []


def _affine_problems(affine: np.ndarray) -> list[Finding]:
    if wrong := _size_problems(_sizes(affine)):
        return wrong
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        return [("has an affine that cannot be inverted", "mend the header")]
    return []


def same_grid(mask: Volume, shape: Sequence[int], affine: np.ndarray) -> bool:
    """Whether a mask lies on a grid, but for rounding of headers."""
    least = GRID_TOLERANCE_MM + 1e-3 * mask.zooms.max()
    return mask.data.shape == tuple(shape) and distance(shape, mask.affine, affine) < least


def shown_sizes(sizes: Sequence) -> str:
    """Sizes in words: 8 x 9 x 6."""
    return " x ".join(map(str, sizes))


def distance(shape: Sequence[int], one: np.ndarray, other: np.ndarray) -> float:
    """Largest distance (mm) between the same corners of two grids."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape])).reshape(3, -1)
    shift = (one - other)[:3]
    return float(np.linalg.norm(shift[:, :3] @ corners + shift[:, 3:], axis=0).max())
