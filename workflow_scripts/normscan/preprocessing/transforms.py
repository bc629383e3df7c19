"""Affine transforms as ANTs files, and ANTs on one thread.

A transform that brings volume A to grid B maps points of B to points of A (ITK's convention; world
coordinates LPS+ in mm). A list of transforms is in ANTs order: the first is applied to the points
first.

ANTs is imported where it is used: it takes two seconds, and many jobs never use it.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

# With two threads registration differs from run to run, even when seeded. ITK asks once.
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

import numpy as np

from normscan.errors import NormscanError
from normscan.preprocessing.grids import Grid

LPS = np.diag([-1.0, -1.0, 1.0])
WARP = ".nii.gz"


def to_ants(data: np.ndarray, grid: Grid):
    """An array on a grid as ANTs image (float32)."""
    import ants

    return ants.from_numpy(
        np.ascontiguousarray(data, dtype=np.float32),
        origin=tuple(float(one) for one in LPS @ grid.affine[:3, 3]),
        spacing=tuple(float(one) for one in grid.spacing),
        direction=LPS @ grid.direction(),
    )


def write_affine(path: str | Path, matrix: np.ndarray) -> str:
    """Write a (4, 4) matrix on LPS+ points as ``.mat`` file; returns its path as text."""
    import ants

    transform = ants.create_ants_transform(
        transform_type="AffineTransform",
        precision="double",
        dimension=3,
        matrix=np.asarray(matrix[:3, :3], dtype=float),
        offset=[float(one) for one in matrix[:3, 3]],
    )
    ants.write_transform(transform, str(path))
    return str(path)


def read_affine(path: str | Path) -> np.ndarray:
    """The (4, 4) matrix on LPS+ points that an ANTs ``.mat`` file holds."""
    import ants

    if not Path(path).is_file():
        raise NormscanError(f"{path}: no such transform")
    transform = ants.read_transform(str(path), precision="double")
    parameters = np.asarray(transform.parameters, dtype=float)
    centre = np.asarray(transform.fixed_parameters, dtype=float)
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:] + centre - matrix[:3, :3] @ centre
    return matrix


def inverse_of(transforms: Sequence[str]) -> tuple[list[str], list[bool]]:
    """Transforms of the opposite direction, for ``ants.apply_transforms``.

    Returns
    -------
    files, invert : the files in their order, and which are affines to be inverted. A displacement
        field ``_from-A_to-B_xfm.nii.gz`` has its inverse ``_from-B_to-A_xfm.nii.gz`` beside it.
    """
    files, invert = [], []
    for path in reversed(list(transforms)):
        is_warp = path.endswith(WARP)
        files.append(inverse_warp(path) if is_warp else path)
        invert.append(not is_warp)
    return files, invert


def inverse_warp(path: str) -> str:
    """Path of the inverse of a displacement field."""
    folder, name = os.path.split(path)
    start, rest = name.split("_from-")
    source, rest = rest.split("_to-")
    target, rest = rest.split("_xfm")
    return os.path.join(folder, f"{start}_from-{target}_to-{source}_xfm{rest}")


def keep_warps(registered, forward: str | Path, backward: str | Path) -> None:
    """Keep the displacement fields of a SyN registration, rewritten without time stamps."""
    sources = {
        forward: next(p for p in registered["fwdtransforms"] if p.endswith("Warp.nii.gz")),
        backward: next(p for p in registered["invtransforms"] if p.endswith("InverseWarp.nii.gz")),
    }
    for path, source in sources.items():
        with gzip.open(source) as packed:
            content = packed.read()
        with open(path, "wb") as raw:
            with gzip.GzipFile("", "wb", compresslevel=5, fileobj=raw, mtime=0) as packed:
                packed.write(content)
