"""Which series a folder of DICOM files holds, and which of them is which contrast."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from normscan.cohorts.dicom.folders import dicom_files

SERIES, DESCRIPTION, NUMBER = "0020|000e", "0008|103e", "0020|0011"
POSITION, ORIENTATION = "0020|0032", "0020|0037"
MANY_SERIES = 20


@dataclass
class Series:
    """Images of one series.

    Attributes
    ----------
    description, number : ``SeriesDescription`` and ``SeriesNumber`` ("" where there is none).
    files : in the order of their names.
    positions : (x, y, z) of the first voxel of each file, mm (LPS); None where it does not say so.
    orientations : directions (LPS) of rows and columns, six numbers for each file; None likewise.
    """

    description: str
    number: str
    files: list[Path] = field(default_factory=list)
    positions: list[np.ndarray | None] = field(default_factory=list)
    orientations: list[np.ndarray | None] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As errors speak of it: ``5 't2_FLAIR tra' (24 files)``."""
        plural = "s" * (len(self.files) != 1)
        return f"{self.number} '{self.description}' ({len(self.files)} file{plural})".strip()


def read_series(folder: Path) -> list[Series]:
    """All series of images below a folder, by number; files that hold no image are passed over."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    found: dict[str, Series] = {}
    for path in dicom_files(folder):
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            continue
        tags = {
            key: reader.GetMetaData(key).strip(" \0") if reader.HasMetaDataKey(key) else ""
            for key in (SERIES, DESCRIPTION, NUMBER, POSITION, ORIENTATION)
        }
        one = found.setdefault(tags[SERIES], Series(tags[DESCRIPTION], tags[NUMBER]))
        one.files.append(path)
        one.positions.append(_numbers(tags[POSITION], 3))
        one.orientations.append(_numbers(tags[ORIENTATION], 6))
    return [one for _, one in sorted(found.items(), key=lambda item: _order(item[1], item[0]))]


def _order(series: Series, uid: str) -> tuple[int, str]:
    return (int(series.number) if series.number.isdigit() else 0), uid


def _numbers(text: str, count: int) -> np.ndarray | None:
    try:
        found = np.array([float(one) for one in text.split("\\")])
    except ValueError:
        return None
    return found if len(found) == count and np.isfinite(found).all() else None


def choose_series(found: list[Series], expression: str) -> tuple[Series | None, str]:
    """The one series whose description an expression finds (in any case), or why there is none.

    Parameters
    ----------
    found : all series of the folder.
    expression : regular expression; it may match anywhere in a description.
    """
    fitting = [one for one in found if re.search(expression, one.description, re.IGNORECASE)]
    if len(fitting) == 1:
        return fitting[0], ""
    if not found:
        return None, "no DICOM image is there; copy it again or exclude the scan"
    if not fitting:
        return None, f"no series matches '{expression}'; mend it, there are: {listed(found)}"
    same = len({one.description for one in fitting}) < len(fitting)
    remedy = "move what is not wanted elsewhere" if same else "make it narrower"
    return None, f"several series match '{expression}': {listed(fitting)}; {remedy}"


def listed(series: list[Series]) -> str:
    """Series in one line."""
    more = len(series) - MANY_SERIES
    names = ", ".join(one.name for one in series[:MANY_SERIES])
    return names + (f" and {more} more" if more > 0 else "")
