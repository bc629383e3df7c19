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
PER_SLICE = "slice"
# As many as scikit-image takes.
BINS = 256


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
    """Otsu's threshold (z,) of each slice of a map (x, y, z), all at once.

    Equal to ``skimage.filters.threshold_otsu`` of each slice: 256 bins from its lowest to its
    highest value, the centre of the bin whose cut leaves the largest variance between both classes;
    the value itself where there is only one. 0 of a slice without counted pixels.

    Parameters
    ----------
    positive : count pixels above 0 only.
    """
    slices = np.moveaxis(score, 2, 0)
    values = slices.reshape(len(slices), score[..., :1].size).astype(np.float64)
    counted = values > 0 if positive else np.ones(values.shape, bool)
    low = np.where(counted, values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(counted, values, -np.inf).max(axis=1, initial=-np.inf)
    split = np.flatnonzero(high > low)
    thresholds = np.where(np.isfinite(high), high, 0.0)
    if not split.size:
        return thresholds
    edges = np.linspace(low[split], high[split], BINS + 1, axis=1)
    counts = _histograms(values[split], counted[split], edges)
    thresholds[split] = _largest_variance(counts, (edges[:, :-1] + edges[:, 1:]) / 2)
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


def _histograms(values: np.ndarray, counted: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Counts (slices, bins) as ``numpy.histogram`` makes them of each row."""
    rows, columns = np.nonzero(counted)
    found, low, high = values[rows, columns], edges[rows, 0], edges[rows, -1]
    bins = np.minimum((found - low) / (high - low) * BINS, BINS - 1).astype(np.intp)
    # Rounding must not put a value on the wrong side of an edge.
    bins -= found < edges[rows, bins]
    bins += (found >= edges[rows, bins + 1]) & (bins != BINS - 1)
    return np.bincount(rows * BINS + bins, minlength=len(values) * BINS).reshape(-1, BINS)


def _largest_variance(counts: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Of each row the centre below and at which a cut separates best."""
    below, above = np.cumsum(counts, axis=1), np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    sums = counts * centres
    # Both ends hold a value, so that no class is empty.
    mean_below = np.cumsum(sums, axis=1) / below
    mean_above = np.cumsum(sums[:, ::-1], axis=1)[:, ::-1] / above
    between = below[:, :-1] * above[:, 1:] * (mean_below[:, :-1] - mean_above[:, 1:]) ** 2
    return centres[np.arange(len(counts)), between.argmax(axis=1)]
