"""Is a scan's content sound? Every problem is one line that names scan, file and remedy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from normscan.cohorts.plausibility import (
    brain_problems,
    foreground,
    header_warnings,
    lesion_findings,
    oversized_problems,
    size_problems,
    stripped_foreground,
    unstripped_findings,
)
from normscan.cohorts.scans import Scan, labels_of
from normscan.files import file_digest

VOXEL_MM = (0.2, 12.0)
GRID_TOLERANCE_MM = 0.01
LABEL_TOLERANCE = 0.01
# Between the roughest heads seen (0.7) and wrapped intensities (from 1.05).
NOISE_ROUGHNESS = 0.9
OWNER = re.compile(r"sub-([A-Za-z0-9]+)(?=[_.]|$)")

Finding = tuple[str, str]


@dataclass(frozen=True)
class _Volume:
    """A volume as read: data (float32, 3D), affine (4, 4), voxel sizes in mm, type on disk, and
    what is odd about its header."""

    data: np.ndarray
    affine: np.ndarray
    zooms: np.ndarray
    dtype: str
    odd: list[Finding]


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
    brain: _Volume | None = None
    for contrast in needed_contrasts:
        if contrast not in scan.images:
            there = ", ".join(sorted(scan.images)) or "none"
            problems.append(
                f"{scan.id}: has no {contrast}, which the protocols need; it has: {there}"
            )
    for contrast, path in sorted(scan.images.items()):
        volume, wrong = _read(path)
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
            volume, wrong = _read(path)
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


def _read(path: str) -> tuple[_Volume | None, list[Finding]]:
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
        return None, [(f"is no 3D volume (its shape is {_shown(image.shape)})", "give a 3D volume")]
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
    return _Volume(data, affine, _sizes(affine), str(kind), odd), []


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


def _facts(path: str, volume: _Volume) -> dict[str, Any]:
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


def _size_problems(sizes: np.ndarray) -> list[Finding]:
    found = f"has voxels of {_shown([f'{size:g}' for size in sizes])} mm"
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


def _image_problems(volume: _Volume) -> list[Finding]:
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
    lesion: _Volume,
    brain: _Volume | None,
    shown: dict[str, np.ndarray],
    grids: dict[str, tuple[tuple[int, ...], np.ndarray]],
) -> tuple[np.ndarray | None, str, bool]:
    """Where on a lesion mask's grid the brain is, what says so, and whether that is sure.

    A brain mask on another grid goes by the headers, between which a person may have moved. Without
    one it is what the images on the grid show: a brain, or at least no background.
    """
    if brain:
        there = np.rint(brain.data) > 0
        if _same_grid(lesion, brain.data.shape, brain.affine):
            return there, "the brain mask", True
        matrix = np.linalg.inv(brain.affine) @ lesion.affine
        moved = ndimage.affine_transform(
            there.astype(np.uint8), matrix, output_shape=lesion.data.shape, order=0
        )
        return moved > 0, "the brain mask, which is on another grid", False
    names = [name for name, grid in sorted(grids.items()) if _same_grid(lesion, *grid)]
    if not names or all(shown[name].all() for name in names):
        return None, "", False
    there = np.any([shown[name] for name in names], axis=0)
    said = f"what {' and '.join(names)} show{'s' * (len(names) == 1)}"
    return ndimage.binary_fill_holes(there), said, True


def _same_grid(mask: _Volume, shape: Sequence[int], affine: np.ndarray) -> bool:
    """Whether a mask lies on a grid, but for rounding of headers."""
    least = GRID_TOLERANCE_MM + 1e-3 * mask.zooms.max()
    return mask.data.shape == tuple(shape) and _distance(shape, mask.affine, affine) < least


def _place_problems(mask: _Volume, grids: dict[str, tuple]) -> list[Finding]:
    """A mask must be on the grid of one of the images."""
    remedy = "resample it (nearest neighbour) to one of them; shape and affine must agree"
    apart = {}
    for contrast, (shape, affine) in grids.items():
        if shape == mask.data.shape:
            apart[contrast] = _distance(shape, mask.affine, affine)
            if apart[contrast] < GRID_TOLERANCE_MM + 1e-3 * mask.zooms.max():
                return []
    if not grids:
        return []
    if apart:
        nearest = min(apart, key=apart.__getitem__)
        problem = f"has the shape of {nearest}, but lies {apart[nearest]:.3g} mm away from it"
    else:
        shapes = ", ".join(f"{name} {_shown(shape)}" for name, (shape, _) in grids.items())
        problem = f"its shape {_shown(mask.data.shape)} is that of no image ({shapes})"
    return [(f"is not on the grid of any image: {problem}", remedy)]


def _shown(sizes: Sequence) -> str:
    return " x ".join(map(str, sizes))


def _distance(shape: Sequence[int], one: np.ndarray, other: np.ndarray) -> float:
    """Largest distance (mm) between the same corners of two grids."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape])).reshape(3, -1)
    shift = (one - other)[:3]
    return float(np.linalg.norm(shift[:, :3] @ corners + shift[:, 3:], axis=0).max())


def _label_problems(mask: _Volume, kind: str) -> list[Finding]:
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
    mask: _Volume, lesion_classes: dict[str, Any], ignored: set[int]
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


def _anatomy_problems(labels: _Volume, classes: dict[str, Any]) -> list[Finding]:
    """Labels of no anatomical class that the cohort declares, or of none at all."""
    known, present = labels_of(classes), _present(labels)
    if not present:
        return [("the label map of anatomy is empty", "give another or remove it")]
    if unknown := sorted(present - known):
        said = f"holds label{'s' * (len(unknown) > 1)} {', '.join(map(str, unknown))}, which"
        remedy = "declare it there, as a class of its own or with others, or set its voxels to 0"
        return [(f"{said} anatomy_classes does not declare ({sorted(known)})", remedy)]
    return []


def _present(mask: _Volume) -> set[int]:
    """Labels of a map but 0."""
    return set(np.unique(np.rint(mask.data)).astype(int).tolist()) - {0}
