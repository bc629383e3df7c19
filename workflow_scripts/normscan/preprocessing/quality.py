"""Quality control of preprocessing: numbers per scan, outliers, and a picture."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from normscan.preprocessing.atlases import Atlas, atlas, atlas_mask, atlas_volume, has_brain_mask
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.naming import shows_body
from normscan.preprocessing.resample import resample
from normscan.preprocessing.transforms import WARP, read_affine
from normscan.preprocessing.volumes import Prepared

if TYPE_CHECKING:
    import pandas

LARGEST_Z = 3.5
FEWEST_SCANS = 5
# name: lowest, highest acceptable value, unit, which direction is an outlier within the cohort.
LIMITS = {
    "brain_ml": (800.0, 2000.0, "ml", "both"),
    "scale": (0.5, 2.0, "", "both"),
    "dice_atlas": (0.75, 1.0, "", "low"),
    "similarity": (-np.inf, np.inf, "", "low"),
    "correlation": (-np.inf, np.inf, "", "low"),
    "border_fraction": (0.0, 0.01, "", "high"),
    "lesion_outside": (0.0, 0.5, "", "high"),
}
# What values may differ by and mean nothing, where the cohort's own spread is smaller still.
LEAST_SPREAD = {"border_fraction": 1e-3, "lesion_outside": 0.1}
# Beyond it a score says no more than that the value is far off.
TOLD_Z = 20.0
BINS = 32
CONTOUR = (255, 140, 0)


def measure(
    prepared: Prepared,
    atlases: Mapping[str, Mapping[str, str]] | None = None,
    reference: str = "",
    lesion_labels: Collection[int] = (),
) -> dict[str, float]:
    """Numbers that tell whether a scan was preprocessed well.

    Parameters
    ----------
    prepared : a registered scan, best with brain mask. One of the whole body is no brain: nothing
        is measured of it.
    atlases : the user's own atlases.
    reference : contrast to compare with the atlas; default T1w, or the scan's first.
    lesion_labels : that count as lesion; none: all but 0.

    Returns
    -------
    numbers : ``brain_ml``: brain volume in the scan's own space (ml); ``scale``: volume in that
        space per volume in atlas space; ``dice_atlas``: overlap with
        the atlas's brain (0 to 1); ``similarity``: normalised mutual information with the atlas,
        minus one (0: unrelated); ``correlation`` with the atlas (-1 to 1; negative is right for
        T2w); ``border_fraction``: share of the brain in the outermost layer of the grid (0 to 1);
        ``lesion_outside``: share of the lesion outside of the brain mask; ``lesion_ml`` and
        ``lesion_native_ml``: lesion volume after and before resampling. What cannot be measured is
        left out.
    """
    found = atlas(prepared.space, atlases)
    contrast = prepared.reference(reference or "T1w")
    data, grid = read_volume(prepared.image(contrast))
    numbers = dict(prepared.quality)
    target = atlas_mask(found, grid) if has_brain_mask(found) else np.ones(grid.shape, dtype=bool)
    brain = target
    numbers["scale"] = _native_scale(prepared, contrast)
    if prepared.brain and not shows_body(prepared.brain):
        brain = read_mask(prepared.brain)[0]
        numbers["brain_ml"] = float(brain.sum() * grid.voxel_ml * numbers["scale"])
        numbers["border_fraction"] = _border_fraction(brain)
        if has_brain_mask(found):
            numbers["dice_atlas"] = dice(brain, target)
        lesion = _lesion(prepared, lesion_labels)
        if lesion.any():
            numbers["lesion_outside"] = float((lesion & ~brain).sum() / lesion.sum())
    both = brain & target
    if both.sum() > BINS * BINS:
        wanted = _template_on(found, grid)
        numbers["similarity"] = mutual_information(data[both], wanted[both])
        numbers["correlation"] = _correlation(data[both], wanted[both])
    return numbers


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Dice coefficient of two masks; 1 when both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def mutual_information(one: np.ndarray, other: np.ndarray) -> float:
    """Normalised mutual information of two samples (n,), (H(a) + H(b)) / H(a, b) - 1, 0 to 1.

    Source: Studholme et al., Pattern Recognition 1999; 32 bins between the 1st and 99th percentile.
    """
    bins = []
    for values in (one, other):
        low, high = np.percentile(values, [1, 99])
        scaled = (values - low) * (BINS / max(high - low, 1e-12))
        bins.append(np.clip(scaled, 0, BINS - 1).astype(int))
    joint = np.bincount(bins[0] * BINS + bins[1], minlength=BINS * BINS).reshape(BINS, BINS)
    joint = joint / joint.sum()
    together = _entropy(joint.ravel())
    if together == 0:
        return 0.0
    return float((_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together - 1)


def flag_outliers(table: pandas.DataFrame) -> dict[str, list[str]]:
    """Why scans should be looked at: scan id -> reasons.

    Parameters
    ----------
    table : column ``scan`` and the columns of :func:`measure`; missing values are skipped.

    A value is flagged outside of its absolute limits, or, among five scans or more, with a robust
    z-score (median, 1.4826 x median absolute deviation) above 3.5 in its bad direction.
    """
    reasons: dict[str, list[str]] = {}
    for name, (lowest, highest, unit, direction) in LIMITS.items():
        if name not in table:
            continue
        values = table[name].to_numpy(dtype=float)
        centre, scores = _median(values), robust_scores(values, LEAST_SPREAD.get(name, 1e-6))
        for scan, value, score in zip(table["scan"], values, scores, strict=True):
            if not np.isfinite(value):
                continue
            told = f"{name} {value:.4g} {unit}".rstrip()
            if value < lowest or value > highest:
                limit = f"below {lowest:g}" if value < lowest else f"above {highest:g}"
                reasons.setdefault(scan, []).append(f"{told} is {limit}")
            elif (score > LARGEST_Z and direction != "low") or (
                score < -LARGEST_Z and direction != "high"
            ):
                far = f"z = {score:.1f}" if abs(score) <= TOLD_Z else f"z beyond {TOLD_Z:g}"
                line = f"{told} is unusual here (median {centre:.4g}, {far})"
                reasons.setdefault(scan, []).append(line)
    for scan, reason in _lost_lesions(table):
        reasons.setdefault(scan, []).append(reason)
    return reasons


def robust_scores(values: np.ndarray, least: float = 1e-6) -> np.ndarray:
    """Robust z-scores (n,) with a spread of at least so much; zero for too few values to tell."""
    known = values[np.isfinite(values)]
    if len(known) < FEWEST_SCANS:
        return np.zeros(len(values))
    centre = np.median(known)
    spread = 1.4826 * np.median(np.abs(known - centre))
    # Equal values with one that differs in the fourth digit are no reason for alarm.
    return (values - centre) / max(spread, 0.01 * abs(centre), least)


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def quality_slices(
    prepared: Prepared, atlases: Mapping[str, Mapping[str, str]] | None = None
) -> np.ndarray:
    """Picture of a scan: a row per contrast, axial, coronal and sagittal through the brain.

    The atlas's brain is outlined in orange. Left is left, front and top are up.

    Returns
    -------
    picture : uint8 (height, width, 3).
    """
    found = atlas(prepared.space, atlases)
    rows = []
    for path in prepared.images.values():
        data, grid = read_volume(path)
        outline = np.zeros(grid.shape, dtype=bool)
        middle = np.array(grid.shape) // 2
        if has_brain_mask(found):
            mask = atlas_mask(found, grid)
            outline = mask & ~ndimage.binary_erosion(mask)
            middle = np.round(ndimage.center_of_mass(mask)).astype(int)
        inside = data[data > 0]
        scale = np.percentile(inside, 99.5) if inside.size else 1.0
        grey = np.clip(data / max(scale, 1e-12), 0, 1)
        views = [
            _coloured(np.take(grey, middle[axis], axis), np.take(outline, middle[axis], axis))
            for axis in (2, 1, 0)
        ]
        height = max(view.shape[0] for view in views)
        rows.append(np.hstack([_padded(view, height) for view in views]))
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 2), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _coloured(view: np.ndarray, outline: np.ndarray) -> np.ndarray:
    rgb = np.repeat((view.T[::-1, :, None] * 255).astype(np.uint8), 3, axis=2)
    rgb[outline.T[::-1]] = CONTOUR
    return rgb


def _padded(view: np.ndarray, height: int) -> np.ndarray:
    missing = height - view.shape[0]
    return np.pad(view, ((missing // 2, missing - missing // 2), (0, 2), (0, 0)))


def _lesion(prepared: Prepared, labels: Collection[int]) -> np.ndarray:
    """Voxels of a scan's lesions that count; none without a map of them."""
    if not prepared.lesions:
        return np.zeros(0, dtype=bool)
    found, _ = read_volume(prepared.lesions, np.int32)
    return np.isin(found, list(labels)) if labels else found != 0


def _native_scale(prepared: Prepared, contrast: str) -> float:
    """Volume in the scan's own space per volume in atlas space (displacement fields left out)."""
    affines = [one for one in prepared.transforms.get(contrast, []) if not one.endswith(WARP)]
    return float(np.prod([abs(np.linalg.det(read_affine(one)[:3, :3])) for one in affines]))


def _template_on(found: Atlas, grid: Grid) -> np.ndarray:
    kind = "brain" if has_brain_mask(found) else "head"
    data, source = atlas_volume(found, kind)
    return resample(data, source, grid)


def _border_fraction(brain: np.ndarray) -> float:
    inner = brain[1:-1, 1:-1, 1:-1].sum()
    return float((brain.sum() - inner) / max(brain.sum(), 1))


def _entropy(shares: np.ndarray) -> float:
    filled = shares[shares > 0]
    return float(-(filled * np.log(filled)).sum())


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _lost_lesions(table: pandas.DataFrame) -> list[tuple[str, str]]:
    if not {"lesion_ml", "lesion_native_ml"} <= set(table):
        return []
    lost = table[(table["lesion_native_ml"] > 0) & (table["lesion_ml"] == 0)]
    return [
        (scan, f"its lesions ({before:.2g} ml) were lost when resampled")
        for scan, before in zip(lost["scan"], lost["lesion_native_ml"], strict=True)
    ]
