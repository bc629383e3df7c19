"""Rules that split every slice of a map by itself; they have no threshold that could be stated.

What ``thresholds.json``, manifests and bundles say of an operating point is the record of
:func:`~normscan.postprocessing.pooling.operating_points`: a ``threshold``, or ``threshold: null``
with ``per: slice``, the rule's ``kind`` and its ``settings``. :func:`operating_point` reads either,
:func:`binarise` applies either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from normscan.errors import NormscanError

SLICE_RULES = {
    "otsu": {"population": "slice", "opening": 256.0, "least": 0.0, "saturate": None},
}
ALLOWED = {
    "otsu": {
        "population": ["slice", "positive"],
        "opening": "0..",
        "least": "0..",
        "saturate": ">0..",
    },
}
MEANING = {
    "otsu": "Otsu's threshold of every slice by itself",
    "population": "pixels that give the threshold: all of a slice, or those above 0",
    "opening": "smaller pieces of a slice are dropped [mm²]",
    "least": "scores up to this are never detected",
    "saturate": "scores above this count as 1 before; null: none does",
}
PER_SLICE = "slice"


@dataclass(frozen=True)
class SliceRule:
    """A rule of :data:`SLICE_RULES` with all its settings."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


Point = float | SliceRule


def operating_point(record: Mapping[str, Any]) -> Point | None:
    """What a record says to detect with; None: there is nothing to detect with.

    Raises
    ------
    NormscanError : a rule that this version does not know.
    """
    if record.get("per") != PER_SLICE:
        return record["threshold"]
    if record["kind"] not in SLICE_RULES:
        allowed = ", ".join(SLICE_RULES)
        raise NormscanError(f"unknown rule '{record['kind']}' per slice; allowed: {allowed}")
    return SliceRule(record["kind"], record["settings"])


def point_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Of a record what :func:`operating_point` needs."""
    keys = ("threshold", "per", "kind", "settings")
    return {key: record[key] for key in keys if key in record}


def without_opening(point: Point) -> Point:
    """The same without its opening, to show what it does."""
    if not isinstance(point, SliceRule):
        return point
    return SliceRule(point.kind, {**point.settings, "opening": 0.0})


def binarise(score: np.ndarray, point: Point, affine: np.ndarray) -> np.ndarray:
    """Detections (x, y, z) bool of a whole filtered map, before small components are dropped.

    Parameters
    ----------
    score : (x, y, z) filtered map >= 0, all slices whole: a slice rule looks at all their pixels.
    point : a threshold, which scores must exceed, or a rule per slice.
    affine : (4, 4), mm.
    """
    if not isinstance(point, SliceRule):
        return score > point
    settings = dict(point.settings)
    opening = settings.pop("opening")
    pixel = float(np.linalg.norm(np.cross(affine[:3, 0], affine[:3, 1])))
    return area_opening(otsu(score, **settings), opening / pixel)


def otsu(
    score: np.ndarray,
    *,
    population: str = "slice",
    least: float = 0.0,
    saturate: float | None = None,
) -> np.ndarray:
    """Voxels above Otsu's threshold of their slice.

    Source: Chatterjee et al. 2022, section 3.2.3. Negative differences are zero before; here the
    filtered map is what its sign prior made of them, so a protocol that follows the paper sets
    ``postprocessing.prior: hyperintense``. A slice without any anomaly is split as well, as the
    paper accepts; ``least`` is there for who does not.

    Parameters
    ----------
    score : (x, y, z) >= 0.
    population : ``slice``: all pixels of a slice give the threshold, those without brain and those
        that were negative as zeros (the paper); ``positive``: those above 0 only.
    least : scores up to this are never detected. 0: all may be (the paper).
    saturate : scores above this count as 1 before the threshold is looked for; None: none does.
        The paper's Figs. 10 and 11 speak of "manual and Otsu thresholding" without a value, its
        published code takes 0.2.
    """
    shown = score if saturate is None else np.where(score > saturate, np.float32(1), score)
    thresholds = otsu_thresholds(shown, positive=population == "positive")
    return (shown > thresholds) & (score > least)


def otsu_thresholds(score: np.ndarray, *, positive: bool = False) -> np.ndarray:
    """Otsu's threshold (z,) of each slice of a map (x, y, z).

    A loop over slices, for once: their histograms all at once take fifteen times as long, since
    one slice stays in the processor's cache and a volume does not.

    Parameters
    ----------
    positive : count pixels above 0 only.

    Returns
    -------
    thresholds : 0 of a slice without counted pixels; of one with equal values only, that value.
    """
    from skimage.filters import threshold_otsu

    thresholds = np.zeros(score.shape[2])
    for z in np.flatnonzero(score.any(axis=(0, 1))):
        values = score[:, :, z]
        values = values[values > 0] if positive else values
        # Of equal values scikit-image warns, though they are no fault here.
        thresholds[z] = values.flat[0] if np.ptp(values) == 0 else threshold_otsu(values)
    return thresholds


def area_opening(detected: np.ndarray, pixels: float) -> np.ndarray:
    """Detections (x, y, z) without in-plane pieces of fewer than so many pixels.

    The area opening of every slice (``skimage.morphology.area_opening`` with connectivity 1: pixels
    that share a side are of one piece), all slices at once. Source: Chatterjee et al. 2022, section
    3.2.3; the area is not given there. The default of the rule, 256 mm2, is that of the published
    code on slices of 256 pixels a side.
    """
    if pixels <= 1:
        return np.asarray(detected, bool)
    cross = np.zeros((3, 3, 3), bool)
    cross[:, :, 1] = ndimage.generate_binary_structure(2, 1)
    labels, _ = ndimage.label(detected, cross)
    keep = np.bincount(labels.ravel()) >= pixels
    keep[0] = False
    return keep[labels]
