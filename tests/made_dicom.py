"""DICOM series, as a scanner would write them: one file per slice."""

from __future__ import annotations

import locale
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK

ROOT = "1.2.826.0.1.3680043.10.999"
TRANSVERSE = (1, 0, 0, 0, 1, 0)
# In-plane sizes (mm) of rows and columns.
PIXEL = (1.0, 1.2)
SHARED = {
    "0008|0008": "ORIGINAL\\PRIMARY\\M",
    "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
    "0008|0020": "20240101",
    "0008|0030": "101010",
    "0008|0060": "MR",
    "0008|0070": "SIEMENS",
    "0010|0010": "Somebody",
    "0010|0020": "007",
    "0018|0020": "SE",
    "0018|0080": "9000",
    "0018|0081": "100",
    "0018|5100": "HFS",
    "0020|000d": f"{ROOT}.1",
}


def volume(shape=(24, 20, 12), seed: int = 0) -> np.ndarray:
    """Whole numbers of a volume (rows, columns, slices)."""
    return np.random.default_rng(seed).integers(1, 1000, shape).astype(np.int16)


@contextmanager
def kept_locale() -> Iterator[None]:
    """Put the process's locale back: GDCM's writer leaves "C", and text is read as ASCII then."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


@kept_locale()
def write_series(
    folder: Path,
    description: str,
    number: int = 5,
    data: np.ndarray | None = None,
    spacing: float = 3.0,
    orientation=TRANSVERSE,
    without: Collection[int] = (),
    shift: float = 0.0,
    moved: dict[int, float] | None = None,
    uid: int = 0,
) -> np.ndarray:
    """Write one file per slice; returns the affine (4, 4; RAS, mm) of columns, rows, slices.

    Parameters
    ----------
    data : (rows, columns, slices).
    without : slices that are not written.
    shift : by how much (mm) each slice lies further along the rows than the one before.
    moved : slice -> by how much (mm) it lies too high.
    """
    data = volume(seed=number) if data is None else data
    folder.mkdir(parents=True, exist_ok=True)
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal, start = np.cross(row, column), np.array([-10.0, -12.0, 5.0])
    series = f"{ROOT}.2.{number}.{uid}"
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(data.shape[2]):
        if index in without:
            continue
        height = spacing * index + (moved or {}).get(index, 0.0)
        position = start + height * normal + shift * index * row
        image = SimpleITK.GetImageFromArray(data[:, :, index])
        image.SetSpacing(PIXEL)
        tags = {
            "0008|0018": f"{series}.{index + 1}",
            "0008|103e": description,
            "0018|0050": str(spacing),
            "0020|000e": series,
            "0020|0011": str(number),
            "0020|0013": str(index + 1),
            "0020|0032": "\\".join(f"{one:.6f}" for one in position),
            "0020|0037": "\\".join(f"{one:.8f}" for one in orientation),
        }
        for key, value in {**SHARED, **tags}.items():
            image.SetMetaData(key, value)
        # Names in no order of the slices, as archives give them.
        name = f"{number}-{uid}-{(7 * index) % 1009:04d}.dcm"
        writer.SetFileName(str(folder / name))
        writer.Execute(image)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([PIXEL[0] * row, PIXEL[1] * column, spacing * normal], axis=1)
    affine[:3, 3] = start
    return np.diag([-1, -1, 1, 1]) @ affine
