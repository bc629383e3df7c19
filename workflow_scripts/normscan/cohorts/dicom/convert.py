"""A chosen series as one NIfTI volume, by dcm2niix."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from normscan.cohorts.dicom.folders import converted
from normscan.cohorts.dicom.geometry import geometry_problem
from normscan.cohorts.dicom.series import Series, choose_series, read_series
from normscan.cohorts.scans import Scan
from normscan.errors import MachineError
from normscan.faults import is_machine_fault
from normscan.files import PARTIAL, file_digest, open_nifti, save_nifti

# No defaults that a user may have set, no sidecar, no compression.
OPTIONS = ("-g", "i", "-b", "n", "-z", "n", "-f", "volume")
SQUARE = 1e-3
LAST_LINES = 3


def convert_scan(source: Path, scan: Scan, series: dict[str, str], folder: Path) -> dict[str, Any]:
    """Convert the series of one scan.

    Parameters
    ----------
    source : folder of its DICOM files.
    series : contrast -> regular expression of the description of its series.
    folder : in which volumes are written, as of :func:`folders.converted`.

    Returns
    -------
    {"problems", "series", "files"} : a line for each problem; what each contrast was made of, and
        the digest of its volume.
    """
    found = read_series(source)
    problems: list[str] = []
    names, files = {}, {}
    for contrast, expression in sorted(series.items()):
        target = converted(folder, scan, contrast)
        target.unlink(missing_ok=True)
        one, problem = choose_series(found, expression)
        if one:
            names[contrast] = one.name
            problem = geometry_problem(one) or _convert(one, target)
            problem = problem and f"series {one.name}: {problem}"
        if problem:
            problems.append(f"{scan.id}: {contrast}: {source}: {problem}")
        else:
            files[contrast] = file_digest(target)
    return {"problems": problems, "series": names, "files": files}


def _convert(series: Series, target: Path) -> str:
    """Write a series to a file; what was wrong, or nothing."""
    import dcm2niix

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".dicom{PARTIAL}-", dir=target.parent) as name:
        staged, made = Path(name, "series"), Path(name, "made")
        staged.mkdir()
        made.mkdir()
        # Nothing else of the folder; links, since names of files in several folders may be equal.
        for number, path in enumerate(series.files):
            os.symlink(os.path.abspath(path), staged / f"{number:06d}.dcm")
        command = [dcm2niix.bin, *OPTIONS, "-o", str(made), str(staged)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        volumes = sorted(made.glob("*.nii"))
        if done.returncode < 0 or is_machine_fault(RuntimeError(), target.parent):
            raise MachineError(f"{target}: dcm2niix was killed, or there is no room left")
        if not volumes:
            said = " / ".join(done.stdout.strip().splitlines()[-LAST_LINES:])
            return f"dcm2niix makes no volume of it ({said}); export it again"
        if len(volumes) > 1:
            return (
                f"dcm2niix makes {len(volumes)} volumes of it; choose a series of one volume with "
                "equally spaced slices"
            )
        return _save(volumes[0], target, len(series.files))


def _save(volume: Path, target: Path, count: int) -> str:
    """Write a converted volume without what its header says of times, bit by bit the same."""
    image = open_nifti(volume)
    if len(image.shape) != 3 or min(image.shape) < 2:
        shape = " x ".join(map(str, image.shape))
        return f"is no 3D volume (its shape is {shape}); choose another series"
    if count not in (1, *image.shape):
        shape = " x ".join(map(str, image.shape))
        return f"has {count} files, but its volume is {shape}; export it again"
    axes = np.asarray(image.affine)[:3, :3]
    sizes = np.linalg.norm(axes, axis=0)
    if not sizes.all() or np.abs((axes / sizes).T @ (axes / sizes) - np.eye(3)).max() > SQUARE:
        return "its axes are not at right angles; reslice it before"
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:
        return "holds colours; choose another series"
    save_nifti(target, data.astype(np.float32) if data.dtype == np.float64 else data, image.affine)
    return ""
