"""Scores of several scans put together, and the operating points found on them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normscan.files import read_tsv
from normscan.postprocessing.conformal import conformal_threshold, fewest_subjects, left_out
from normscan.postprocessing.histograms import BINS, ScoreHistogram, load_arrays, load_histograms
from normscan.postprocessing.slice_rules import PER_SLICE, SLICE_RULES
from normscan.postprocessing.thresholds import (
    ONLY_SLICES,
    SUBJECT_RULES,
    SYNTHETIC_RULES,
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


def validation_subjects(cohorts: Sequence[str], tables: Sequence[str]) -> dict[str, dict[str, str]]:
    """cohort -> scan -> subject, of its validation subjects, from the table of each."""
    found = {}
    for cohort, path in zip(cohorts, tables, strict=True):
        table = read_tsv(path, dtype=str)
        own = table[table["split"] == "validation"]
        found[cohort] = dict(zip(own["scan"], own["subject"]))
    return found


def by_subject(
    paths: Sequence[str],
    subjects: Mapping[str, Mapping[str, str]],
    cohorts: Sequence[str],
    prior: str | None,
) -> np.ndarray:
    """Normal voxels (subjects, 65536) by score bin of cohorts' subjects, all scans of one together.

    Parameters
    ----------
    paths, cohorts, prior : as for :func:`pooled`.
    subjects : cohort -> scan -> subject, of the scans that count. Subjects without voxels are left
        out.
    """
    found: dict[tuple[str, str], np.ndarray] = {}
    for path in paths:
        cohort, own = (str(one) for one in load_arrays(path, "cohort", "prior"))
        if cohort not in cohorts or (prior and own != prior):
            continue
        for scan, histogram in load_histograms(path).items():
            normal = histogram.without_lesions().normal
            if scan in subjects[cohort] and normal.any():
                key = (cohort, subjects[cohort][scan])
                found[key] = normal + found.get(key, 0)
    return np.stack([found[key] for key in sorted(found)]) if found else np.zeros((0, BINS), int)


def same_prior(cohorts: Sequence[str], priors: Mapping[str, str], prior: str) -> list[str]:
    """Of synthetic cohorts those with a sign prior; all where none has it.

    Anomalies that are brighter than tissue say nothing of how darker ones are found. A prior is
    stated before anything is seen: it is no label.
    """
    return [one for one in cohorts if priors[one] == prior] or list(cohorts)


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


def pooled_healthy(
    paths: Sequence[str],
    scans: Mapping[str, set[str]],
    cohorts: Sequence[str],
    prior: str | None,
) -> ScoreHistogram | None:
    """:func:`pooled` of slices without lesions only: all of healthy scans, some of patients'."""
    total = pooled(paths, scans, cohorts, prior)
    found = total.without_lesions() if total else None
    return found if found and found.normal.any() else None


def operating_points(
    rules: Sequence[Mapping[str, Any]],
    healthy: ScoreHistogram | None,
    healthy_cohorts: Sequence[str],
    patients: Sequence[str],
    scans: Mapping[str, set[str]],
    only_slices: bool = False,
    approach: str = "",
    healthy_subjects: np.ndarray | None = None,
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
    healthy_subjects : of :func:`by_subject`, for rules that look at one subject after the other.

    Returns
    -------
    label -> ``threshold`` (None: ``reason`` says why), ``cohorts`` and, where it can be told,
    ``healthy_false_positive_rate``; where a limit cannot be met, ``note`` says what was done, and
    ``approach`` of what; the log has both. Of a rule per slice ``threshold`` is None without a
    reason, ``per`` is ``slice``, and ``kind`` and ``settings`` say what is done. A rule with a
    promise also says what it ``promised`` on how many ``subjects``, and what is ``realised`` where
    each of them is left out in turn (None: too few).
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
            found["reason"] = ONLY_SLICES if only_slices else _missing(rule["kind"], cohorts)
        elif rule["kind"] in SUBJECT_RULES:
            found |= promised(healthy_subjects, **settings)
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


def promised(subjects: np.ndarray | None, rate: float, exceeding: float | None) -> dict[str, Any]:
    """The record of a conformal threshold.

    Parameters
    ----------
    subjects : of :func:`by_subject`.
    rate, exceeding : as of :func:`~normscan.postprocessing.conformal.conformal_threshold`.
    """
    count = 0 if subjects is None else len(subjects)
    found = {"promised": rate, "exceeding": exceeding, "subjects": count, "realised": None}
    needed = fewest_subjects(rate, exceeding)
    if subjects is None or count < needed:
        level = rate if exceeding is None else exceeding
        reason = (
            f"{count} healthy validation subject(s) cannot promise {level:g} for the next one; at "
            f"least {needed} are needed"
        )
        return found | {"reason": reason}
    realised = left_out(subjects, rate, exceeding)
    return found | {
        "threshold": conformal_threshold(subjects, rate, exceeding),
        "realised": realised if np.isfinite(realised) else None,
    }


def _missing(kind: str, cohorts: Sequence[str] | None) -> str:
    """Which scans a rule lacks."""
    if cohorts is None:
        return "no healthy scans"
    return (
        f"no validation {'scans of synthetic cohorts' if kind in SYNTHETIC_RULES else 'patients'}"
    )


def _per_slice(kind: str, settings: dict[str, Any], only_slices: bool) -> dict[str, Any]:
    """The record of a rule that chooses nothing on any scans."""
    found: dict[str, Any] = {"threshold": None, "reason": "", "cohorts": []}
    if only_slices:
        return found | {"reason": ONLY_SLICES}
    return found | {"per": PER_SLICE, "kind": kind, "settings": settings}
