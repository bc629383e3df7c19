"""Pseudo-labels: an approach's detections in scans that another model is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normscan.errors import NormscanError
from normscan.postprocessing.detections import detected_voxels
from normscan.postprocessing.filter import filter_map
from normscan.postprocessing.pooling import (
    by_subject,
    pooled_healthy,
    promised,
    validation_scans,
    validation_subjects,
)
from normscan.postprocessing.slice_rules import SLICE_RULES, Point, SliceRule
from normscan.postprocessing.thresholds import SUBJECT_RULES, find_threshold, why_none


def healthy_point(
    kind: str,
    settings: Mapping[str, Any],
    histograms: Sequence[str],
    cohorts: Sequence[str],
    subjects: Sequence[str],
    prior: str,
) -> Point:
    """The operating point of a rule without labels: on healthy validation scans, or per slice.

    Parameters
    ----------
    kind, settings : of a rule that looks at no labels.
    histograms : files of histograms of healthy shards.
    cohorts, subjects : healthy cohorts, and the table of each.
    prior : of the maps that count.

    Raises
    ------
    NormscanError : there are no healthy voxels, or the rule needs labels.
    """
    if kind in SLICE_RULES:
        return SliceRule(kind, settings)
    if kind in SUBJECT_RULES:
        counts = by_subject(histograms, validation_subjects(cohorts, subjects), cohorts, prior)
        record = promised(counts, **settings)
        if "threshold" not in record:
            raise NormscanError(f"pseudo-labels: {kind} finds no threshold: {record['reason']}")
        return record["threshold"]
    scans = validation_scans(cohorts, subjects)
    found = pooled_healthy(histograms, scans, cohorts, prior)
    reason = "no healthy validation scans" if found is None else why_none(kind, found)
    threshold = None if found is None else find_threshold(kind, found, **settings)
    if threshold is None:
        raise NormscanError(f"pseudo-labels: {kind} finds no threshold: {reason}")
    return threshold


def pseudo_labels(
    signed: np.ndarray,
    brain: np.ndarray,
    point: Point,
    affine: np.ndarray,
    *,
    prior: str,
    erosion: int,
    median: int,
    minimum_voxels: int,
) -> np.ndarray:
    """Detections (x, y, z) bool of a signed map, the same as those that are evaluated.

    Parameters
    ----------
    signed, brain, prior, erosion, median : as of
        :func:`~normscan.postprocessing.filter.filter_map`.
    point, minimum_voxels : as of
        :func:`~normscan.postprocessing.detections.detect_components`.
    affine : (4, 4), mm.
    """
    filtered = filter_map(signed, brain, prior=prior, erosion=erosion, median=median)
    return detected_voxels(filtered, point, minimum_voxels, affine)
