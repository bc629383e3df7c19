"""Is a scan's content sound? Every problem is one line that names scan, file and remedy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from normscan.cohorts.plausibility import (
    Finding,
    brain_problems,
    foreground,
    lesion_findings,
    oversized_problems,
    size_problems,
    stripped_foreground,
    unstripped_findings,
)
from normscan.cohorts.scans import Scan, labels_of
from normscan.cohorts.volume import Volume, distance, read, same_grid, shown_sizes
from normscan.files import file_digest

LABEL_TOLERANCE = 0.01
# Between the roughest heads seen (0.7) and wrapped intensities (from 1.05).
NOISE_ROUGHNESS = 0.9
OWNER = re.compile(r"sub-([A-Za-z0-9]+)(?=[_.]|$)")


def check_scan(
    scan: Scan,
    needed_contrasts: Sequence[str],
    role: str,
    lesion_classes: dict[str, Any],
    anatomy_classes: dict[str, Any] | None = None,
    ignored_labels: Sequence[int] = (),
    skull_stripped: bool = False,
) -> dict[str, Any]:
    """Read a scan's files one after the other and say what is wrong with them.

    Parameters
    ----------
    scan : images, brain mask, lesion mask and label map of anatomy by path.
    needed_contrasts : contrasts it must have.
    role : of its cohort; patients must have a lesion mask that is not empty.
    lesion_classes : class -> label or labels; when given, one of them must be there, and no other
        label but those of ``ignored_labels``.
    anatomy_classes : class -> label or labels; the label map of anatomy holds no others but 0.
    skull_stripped : whether its cohort says so: images then show nothing outside of a brain mask,
        or where there is none, no more than a brain.

    Returns
    -------
    {"scan", "problems", "warnings", "facts"} : facts hold, by contrast of each sound image,
        ``shape``, ``zooms`` (mm), ``orientation`` (e.g. "RAS"), ``dtype``, ``sha`` (of the file)
        and ``voxels`` (digest of shape and values, equal for a recompressed or converted copy).
    """
    problems: list[str] = []
    warnings: list[str] = []
    facts: dict[str, Any] = {}
    grids: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}
    shown: dict[str, np.ndarray] = {}
    brain: Volume | None = None
    for contrast in needed_contrasts:
        if contrast not in scan.images:
            there = ", ".join(sorted(scan.images)) or "none"
            problems.append(
                f"{scan.id}: has no {contrast}, which the protocols need; it has: {there}"
            )
    for contrast, path in sorted(scan.images.items()):
        volume, wrong = read(path)
        if volume:
            wrong = _image_problems(volume)
        if volume and not wrong:
            grids[contrast] = (volume.data.shape, volume.affine)
            facts[contrast] = _facts(path, volume)
            odd = volume.odd + _noise_warnings(volume.data)
            if skull_stripped:
                shown[contrast], more = stripped_foreground(volume.data)
                odd += more
            else:
                shown[contrast] = foreground(volume.data)
            warnings += [_line(scan, path, one) for one in odd]
        problems += [_line(scan, path, one) for one in wrong]
    if skull_stripped and not scan.brain_mask:
        ml = {name: abs(np.linalg.det(one[:3, :3])) / 1000 for name, (_, one) in grids.items()}
        problems += [f"{scan.id}: {'; '.join(one)}" for one in oversized_problems(shown, ml)]
    if role == "patients" and not scan.lesion_mask:
        problems.append(f"{scan.id}: has no lesion mask, which patients need")
    masks = {"brain": scan.brain_mask, "lesion": scan.lesion_mask, "anatomy": scan.anatomy}
    for kind, path in masks.items():
        if path:
            owner = _owner_problems(scan, path)
            volume, wrong = read(path)
            odd = []
            if volume:
                wrong = _place_problems(volume, grids) + _label_problems(volume, kind)
                labelled = np.rint(volume.data) > 0
                if kind == "brain" and not wrong:
                    brain, wrong = volume, brain_problems(labelled)
                    if skull_stripped and not wrong:
                        wrong, odd = unstripped_findings(labelled, shown)
                if kind == "lesion" and role == "patients" and not wrong:
                    sought = labelled & ~np.isin(np.rint(volume.data), list(ignored_labels))
                    wrong, odd = lesion_findings(sought, *_brain_of(volume, brain, shown, grids))
                if kind == "lesion" and role == "patients" and not wrong:
                    wrong, more = _lesion_problems(volume, lesion_classes, set(ignored_labels))
                    odd += more
                if kind == "anatomy" and not wrong:
                    wrong = _anatomy_problems(volume, anatomy_classes or {})
            problems += [_line(scan, path, one) for one in owner + wrong]
            warnings += [_line(scan, path, one) for one in odd]
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
                first = seen.setdefault(fact["voxels"], name)
                if first != name:
                    problems.append(
                        f"{name} has the same content as {first}; an image may stand only once, "
                        "or training and test scans mix: remove one of them"
                    )
    return problems


def roughness(data: np.ndarray) -> float:
    """How much neighbouring voxels differ, relative to how much all voxels do.

    Standard deviation of differences between neighbours over that of the values, background left
    out, along the smoothest axis. Images of heads have 0.2 to 0.7, pure noise 1.41.
    """
    inside = data != data.flat[0]
    spread = float(data[inside].std()) if inside.any() else 0.0
    if not spread:
        return 0.0
    found = []
    for axis in range(3):
        values, kept = np.moveaxis(data, axis, 0), np.moveaxis(inside, axis, 0)
        both = kept[1:] & kept[:-1]
        if both.any():
            found.append(float((values[1:][both] - values[:-1][both]).std()) / spread)
    return min(found, default=0.0)


def _noise_warnings(data: np.ndarray) -> list[Finding]:
    rough = roughness(data.astype(np.float32))
    if rough < NOISE_ROUGHNESS:
        return []
    return [
        (
            f"looks like noise (roughness {rough:.2f}; heads have 0.2 to 0.7)",
            "look at it: intensities may have wrapped around when it was converted",
        )
    ]


def _line(scan: Scan, path: str, finding: Finding) -> str:
    problem, remedy = finding
    return f"{scan.id}: {path}: {problem}; {remedy}"


def _facts(path: str, volume: Volume) -> dict[str, Any]:
    import nibabel

    digest = hashlib.sha256(str(volume.data.shape).encode())
    digest.update(volume.data.ravel(order="F").data)
    return {
        "shape": list(volume.data.shape),
        "zooms": [round(float(size), 4) for size in volume.zooms],
        "orientation": "".join(nibabel.aff2axcodes(volume.affine)),
        "dtype": volume.dtype,
        "sha": file_digest(path),
        "voxels": digest.hexdigest()[:16],
    }


def _image_problems(volume: Volume) -> list[Finding]:
    data = volume.data
    bad = data.size - int(np.isfinite(data).sum())
    if bad:
        return [(f"{bad} voxels are NaN or infinite", "export the image again")]
    if data.min() == data.max():
        return [(f"is constant: every voxel is {data.min():g}", "give the image itself")]
    return size_problems(data)


def _owner_problems(scan: Scan, path: str) -> list[Finding]:
    """A mask whose path names another subject than the scan and its images."""
    owner = _owner(path)
    own = {scan.subject, *(_owner(image) for image in scan.images.values())}
    if owner and owner not in own:
        return [(f"is a mask of sub-{owner}", f"give the mask of sub-{scan.subject}")]
    return []


def _owner(path: str) -> str:
    """Subject that a file's name, or else the nearest folder around it, is named after."""
    for part in reversed(Path(path).parts):
        if match := OWNER.match(part):
            return match[1]
    return ""


def _brain_of(
    lesion: Volume,
    brain: Volume | None,
    shown: dict[str, np.ndarray],
    grids: dict[str, tuple[tuple[int, ...], np.ndarray]],
) -> tuple[np.ndarray | None, str, bool]:
    """Where on a lesion mask's grid the brain is, what says so, and whether that is sure.

    A brain mask on another grid goes by the headers, between which a person may have moved. Without
    one it is what the images on the grid show: a brain, or at least no background.
    """
    if brain:
        there = np.rint(brain.data) > 0
        if same_grid(lesion, brain.data.shape, brain.affine):
            return there, "the brain mask", True
        matrix = np.linalg.inv(brain.affine) @ lesion.affine
        moved = ndimage.affine_transform(
            there.astype(np.uint8), matrix, output_shape=lesion.data.shape, order=0
        )
        return moved > 0, "the brain mask, which is on another grid", False
    names = [name for name, grid in sorted(grids.items()) if same_grid(lesion, *grid)]
    if not names or all(shown[name].all() for name in names):
        return None, "", False
    there = np.any([shown[name] for name in names], axis=0)
    said = f"what {' and '.join(names)} show{'s' * (len(names) == 1)}"
    return ndimage.binary_fill_holes(there), said, True


def _place_problems(mask: Volume, grids: dict[str, tuple]) -> list[Finding]:
    """A mask must be on the grid of one of the images."""
    remedy = "resample it (nearest neighbour) to one of them; shape and affine must agree"
    apart = {}
    for contrast, (shape, affine) in grids.items():
        if same_grid(mask, shape, affine):
            return []
        if shape == mask.data.shape:
            apart[contrast] = distance(shape, mask.affine, affine)
    if not grids:
        return []
    if apart:
        nearest = min(apart, key=apart.__getitem__)
        problem = f"has the shape of {nearest}, but lies {apart[nearest]:.3g} mm away from it"
    else:
        shapes = ", ".join(f"{name} {shown_sizes(shape)}" for name, (shape, _) in grids.items())
        problem = f"its shape {shown_sizes(mask.data.shape)} is that of no image ({shapes})"
    return [(f"is not on the grid of any image: {problem}", remedy)]


def _label_problems(mask: Volume, kind: str) -> list[Finding]:
    """Values must be labels; 0.99999997, as interpolating tools write it, counts as 1."""
    if not np.isfinite(mask.data).all():
        return [("has NaN or infinite voxels", "export the mask again")]
    if np.abs(mask.data - np.rint(mask.data)).max() > LABEL_TOLERANCE:
        return [("holds values that are no labels", "give integers; do not interpolate masks")]
    if mask.data.min() < -LABEL_TOLERANCE:
        return [("holds negative labels", "give labels from 0 on")]
    if kind == "brain" and not np.rint(mask.data).any():
        return [("the brain mask is empty", "give another or remove it")]
    return []


def _lesion_problems(
    mask: Volume, lesion_classes: dict[str, Any], ignored: set[int]
) -> tuple[list[Finding], list[Finding]]:
    """Problems and warnings of a patient's labels."""
    wanted, present = labels_of(lesion_classes), _present(mask)
    if not present:
        return [("the lesion mask is empty", "a patient needs lesions: exclude the scan")], []
    unknown = sorted(present - wanted - ignored)
    if wanted and unknown and present & wanted:
        problem = f"holds labels {unknown} of no class in lesion_classes ({sorted(wanted)})"
        remedy = "name their class, or list them as ignored_labels if they count on neither side"
        return [(problem, remedy)], []
    if wanted and not present & wanted:
        problem = f"holds labels {sorted(present)}, none of lesion_classes ({sorted(wanted)})"
        return [(problem, "mend lesion_classes in config.yaml or exclude the scan")], []
    if wanted and present - wanted:
        return [], [(f"labels {sorted(present - wanted)} are ignored_labels", "they are left out")]
    return [], []


def _anatomy_problems(labels: Volume, classes: dict[str, Any]) -> list[Finding]:
    """Labels of no anatomical class that the cohort declares, or of none at all."""
    known, present = labels_of(classes), _present(labels)
    if not present:
        return [("the label map of anatomy is empty", "give another or remove it")]
    if unknown := sorted(present - known):
        said = f"holds label{'s' * (len(unknown) > 1)} {', '.join(map(str, unknown))}, which"
        remedy = "declare it there, as a class of its own or with others, or set its voxels to 0"
        return [(f"{said} anatomy_classes does not declare ({sorted(known)})", remedy)]
    return []


def _present(mask: Volume) -> set[int]:
    """Labels of a map but 0."""
    return set(np.unique(np.rint(mask.data)).astype(int).tolist()) - {0}
