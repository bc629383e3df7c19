"""Scores of several scans put together, and the operating points found on them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from normscan.files import read_tsv
from normscan.postprocessing.histograms import ScoreHistogram, load_arrays, load_histograms
from normscan.postprocessing.slice_rules import PER_SLICE, SLICE_RULES
from normscan.postprocessing.thresholds import (
    ONLY_SLICES,
    find_threshold,
    limit_note,
    why_none,
)

LOG = logging.getLogger("normscan")


def scores_only_slices(paths: Sequence[str]) -> bool:
    """Whether files of histograms hold scores of slices, and none of voxels."""
    voxels, slices = (
        any(len(load_arrays(path, name)[0]) for path in paths) for name in ("scans", "slice_scans")
    )
    return slices and not voxels


def validation_scans(cohorts: Sequence[str], tables: Sequence[str]) -> dict[str, set[str]]:
    """cohort -> scans of its validation subjects, from the table of each."""
    found = {}
    for cohort, path in zip(cohorts, tables, strict=True):
        table = read_tsv(path, dtype=str)
        found[cohort] = set(table[table["split"] == "validation"]["scan"])
    return found


def pooled(
    paths: Sequence[str],
    scans: Mapping[str, set[str]],
    cohorts: Sequence[str],
    prior: str | None,
) -> ScoreHistogram | None:
    """Sum of the histograms of cohorts' validation scans; None when there are none.

    Parameters
    ----------
    paths : files of histograms, of a shard each.
    scans : cohort -> the scans that count.
    cohorts : those that count.
    prior : of the maps that count; None: all.
    """
    total = None
    for path in paths:
        cohort, own = (str(one) for one in load_arrays(path, "cohort", "prior"))
        if cohort not in cohorts or (prior and own != prior):
            continue
        for scan, histogram in load_histograms(path).items():
            if scan in scans[cohort]:
                total = histogram if total is None else total + histogram
    return total


def operating_points(
    rules: Sequence[Mapping[str, Any]],
    healthy: ScoreHistogram | None,
    healthy_cohorts: Sequence[str],
    patients: Sequence[str],
    scans: Mapping[str, set[str]],
    only_slices: bool = False,
    approach: str = "",
) -> dict[str, dict[str, Any]]:
    """What every threshold rule finds under one prior.

    Parameters
    ----------
    rules : ``label``, ``kind`` and ``settings`` of each; with ``cohorts`` among its settings a
        rule looks at the validation patients of these, otherwise at healthy scans. A rule per slice
        (``slice_rules.SLICE_RULES``) looks at none: it finds its thresholds on each slice.
    healthy : pooled scores of healthy validation scans; None: there are none.
    healthy_cohorts : their cohorts.
    patients : files of histograms of validation patients.
    scans : cohort -> validation scans.
    only_slices : the approach has no maps (:func:`scores_only_slices`).
    approach : what the scores are of, in words.

    Returns
    -------
    label -> ``threshold`` (None: ``reason`` says why), ``cohorts`` and, where it can be told,
    ``healthy_false_positive_rate``; where a limit cannot be met, ``note`` says what was done, and
    ``approach`` of what; the log has both. Of a rule per slice ``threshold`` is None without a
    reason, ``per`` is ``slice``, and ``kind`` and ``settings`` say what is done.
    """
    points = {}
    for rule in rules:
        settings = dict(rule["settings"])
        if rule["kind"] in SLICE_RULES:
            points[rule["label"]] = _per_slice(rule["kind"], settings, only_slices)
            continue
        cohorts = settings.pop("cohorts", None)
        source = healthy if cohorts is None else pooled(patients, scans, cohorts, None)
        found: dict[str, Any] = {
            "threshold": None,
            "reason": "",
            "cohorts": cohorts or healthy_cohorts,
        }
        if source is None:
            missing = "no healthy scans" if cohorts is None else "no validation patients"
            found["reason"] = ONLY_SLICES if only_slices else missing
        else:
            found["threshold"] = find_threshold(rule["kind"], source, **settings)
            found["reason"] = why_none(rule["kind"], source)
            note = limit_note(rule["kind"], source, found["threshold"], **settings)
            if note:
                found |= {"note": note, "approach": approach}
                LOG.warning("%s: threshold rule %s: %s", approach, rule["label"], note)
        if healthy is not None and found["threshold"] is not None:
            found["healthy_false_positive_rate"] = healthy.exceeding(found["threshold"])
        points[rule["label"]] = found
    return points


def _per_slice(kind: str, settings: dict[str, Any], only_slices: bool) -> dict[str, Any]:
    """The record of a rule that chooses nothing on any scans."""
    found: dict[str, Any] = {"threshold": None, "reason": "", "cohorts": []}
    if only_slices:
        return found | {"reason": ONLY_SLICES}
    return found | {"per": PER_SLICE, "kind": kind, "settings": settings}
