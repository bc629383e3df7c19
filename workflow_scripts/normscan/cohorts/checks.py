"""Is a scan's content sound? Every file is read once; every problem is one line with a remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from normscan.cohorts.scans import Scan
from normscan.files import file_digest

VOXEL_MM = (0.2, 12.0)
GRID_TOLERANCE_MM = 0.01


def check_scan(
    scan: Scan, needed_contrasts: list[str], role: str, lesion_classes: dict[str, Any]
) -> dict[str, Any]:
    """Read a scan's files and say what is wrong with them.

    Parameters
    ----------
    scan : images, brain mask and lesion mask by path.
    needed_contrasts : contrasts it must have.
    role : of its cohort; patients must have a lesion mask that is not empty.
    lesion_classes : class -> label or labels; when given, one of them must be there.

    Returns
    -------
    {"scan", "problems", "warnings", "facts"} : facts hold shape, voxel size and digest by contrast.
    """
    problems: list[str] = []
    warnings: list[str] = []
    facts: dict[str, Any] = {}
    grids = []
    for contrast in needed_contrasts:
        if contrast not in scan.images:
            problems.append(f"{scan.id}: has no {contrast}, which the protocols need")
    for contrast, path in sorted(scan.images.items()):
        data, affine, wrong = _read(path)
        wrong = wrong or _image_problems(data, affine)
        problems += [_line(scan, path, *one) for one in wrong]
        if not wrong:
            grids.append((data.shape, affine))
            facts[contrast] = {
                "shape": list(data.shape),
                "voxel_mm": [round(float(v), 4) for v in _voxel_sizes(affine)],
                "digest": file_digest(path),
            }
    for kind, path in (("brain", scan.brain_mask), ("lesion", scan.lesion_mask)):
        if path:
            wrong, odd = _mask_problems(scan, path, kind, grids, role, lesion_classes)
            problems += [_line(scan, path, *one) for one in wrong]
            warnings += [_line(scan, path, *one) for one in odd]
    return {"scan": scan.id, "problems": problems, "warnings": warnings, "facts": facts}


def check_cohorts(reports: dict[str, list[dict]], roles: dict[str, str]) -> list[str]:
    """Problems that show only when cohorts are seen together: the same image twice.

    Parameters
    ----------
    reports : cohort -> results of :func:`check_scan`.
    roles : cohort -> role.
    """
    seen: dict[str, str] = {}
    problems = []
    for cohort, found in reports.items():
        for report in found:
            for contrast, fact in report["facts"].items():
                name = f"{cohort}/{report['scan']} {contrast} (role {roles[cohort]})"
                first = seen.setdefault(fact["digest"], name)
                if first != name:
                    problems.append(
                        f"{name} is the same file content as {first}; a scan may stand only once, "
                        "or training and test scans mix: remove one of them"
                    )
    return problems


def _line(scan: Scan, path: str, problem: str, remedy: str) -> str:
    return f"{scan.id}: {path}: {problem}; {remedy}"


def _read(path: str) -> tuple[Any, Any, list[tuple[str, str]]]:
    """Data as float32, affine, and why the file cannot be read."""
    import nibabel

    file = Path(path)
    if not file.is_file():
        return None, None, [("no such file", "restore it or leave the scan out")]
    if file.stat().st_size == 0:
        return None, None, [("the file is empty", "copy it again")]
    try:
        image = nibabel.load(file)
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        return None, None, [(f"not a NIfTI file ({reason})", "convert it or copy it again")]
    try:
        data = np.asanyarray(image.dataobj)
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        return None, None, [(f"truncated or damaged ({reason})", "copy it again")]
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        return None, None, [(f"has {data.ndim} dimensions", "give a 3D volume")]
    return data.astype(np.float32, copy=False), np.asarray(image.affine, float), []


def _voxel_sizes(affine: np.ndarray) -> np.ndarray:
    return np.sqrt((affine[:3, :3] ** 2).sum(axis=0))


def _image_problems(data: np.ndarray, affine: np.ndarray) -> list[tuple[str, str]]:
    problems = _grid_problems(data, affine)
    bad = int(data.size - np.isfinite(data).sum())
    if bad:
        problems.append((f"{bad} voxels are NaN or infinite", "export the scan again"))
    elif data.size and data.min() == data.max():
        problems.append((f"every voxel is {data.min():g}", "give the image, not an empty volume"))
    return problems


def _grid_problems(data: np.ndarray, affine: np.ndarray) -> list[tuple[str, str]]:
    if min(data.shape) < 2:
        return [(f"has shape {data.shape}, a single slice", "give a 3D volume")]
    sizes = _voxel_sizes(affine)
    if not np.isfinite(affine).all() or (sizes <= 0).any():
        return [("has a voxel size of zero", "mend the header's affine")]
    if (sizes < VOXEL_MM[0]).any() or (sizes > VOXEL_MM[1]).any():
        shown = " x ".join(f"{size:g}" for size in sizes)
        return [
            (f"has voxels of {shown} mm", f"voxel sizes must be {VOXEL_MM[0]} to {VOXEL_MM[1]} mm")
        ]
    if abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        return [("has an affine that cannot be inverted", "mend the header's affine")]
    return []


def _mask_problems(scan, path, kind, grids, role, lesion_classes):
    """Problems and warnings of a brain or lesion mask."""
    data, affine, wrong = _read(path)
    if wrong:
        return wrong, []
    problems, warnings = [], []
    owner = re.search(r"sub-([A-Za-z0-9]+)", Path(path).name)
    if owner and owner[1] != scan.subject:
        problems.append((f"is a mask of sub-{owner[1]}", f"give the mask of sub-{scan.subject}"))
    if grids and not any(_same_grid(data.shape, affine, *grid) for grid in grids):
        shapes = ", ".join(str(shape) for shape, _ in grids)
        problems.append(
            (
                f"mask of shape {data.shape} is on the grid of no image of this scan ({shapes})",
                "resample it (nearest neighbour) to one of them; shape and affine must agree",
            )
        )
    if not np.isfinite(data).all():
        return [*problems, ("has NaN or infinite voxels", "export the mask again")], warnings
    labels = np.unique(np.round(data)).astype(int)
    if np.abs(data - np.round(data)).max() > 0.01:
        problems.append(("holds values that are no labels", "give integers; do not interpolate"))
    elif kind == "brain" and not data.any():
        problems.append(("the brain mask is empty", "give a mask or remove it"))
    elif kind == "lesion" and role == "patients":
        wanted = _wanted(lesion_classes)
        present = set(labels.tolist()) - {0}
        if not present:
            problems.append(
                ("the lesion mask is empty", "a patient needs lesions; or exclude the scan")
            )
        elif wanted and not present & wanted:
            problems.append(
                (
                    f"holds labels {sorted(present)}, none of lesion_classes ({sorted(wanted)})",
                    "mend lesion_classes in config.yaml or exclude the scan",
                )
            )
        elif wanted and present - wanted:
            warnings.append(
                (f"labels {sorted(present - wanted)} are in no lesion class", "they are ignored")
            )
    return problems, warnings


def _wanted(lesion_classes: dict[str, Any]) -> set[int]:
    groups = [one if isinstance(one, list) else [one] for one in lesion_classes.values()]
    return {label for group in groups for label in group}


def _same_grid(shape_a, affine_a, shape_b, affine_b) -> bool:
    """Equal shapes, and corners of the two grids at the same place in the world."""
    if tuple(shape_a) != tuple(shape_b):
        return False
    last = np.array(shape_a) - 1
    corners = np.array([[0, 0, 0, 1], [last[0], 0, 0, 1], [0, last[1], 0, 1], [0, 0, last[2], 1]])
    distance = np.abs((corners @ affine_a.T - corners @ affine_b.T)[:, :3]).max()
    return bool(distance < GRID_TOLERANCE_MM + 1e-3 * _voxel_sizes(affine_b).max())
