"""What one approach reaches on one split of a cohort: rows of ``metrics.tsv``, and curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas

from normscan.evaluation.classes import class_rows, patients_of_classes
from normscan.evaluation.curves import auprc, auroc, thinned
from normscan.evaluation.froc import froc_curve
from normscan.evaluation.metrics import (
    NO_THRESHOLD,
    ORACLE,
    SLICE,
    dice_above,
    marked,
    over_scans,
    over_subjects,
    score_metrics,
    youden_metrics,
)
from normscan.evaluation.pooled import operating_points
from normscan.evaluation.residuals import Residuals, chi_square, linear_histograms
from normscan.postprocessing.class_counts import ClassCounts
from normscan.postprocessing.histograms import ScoreHistogram
from normscan.postprocessing.slice_scores import SliceScores
from normscan.postprocessing.thresholds import youden

ROW = ["level", "subject", "scan", "threshold_rule", "metric", "value"]
_SCAN = ROW[1:]


def split_rows(
    subject_of: Mapping[str, str],
    histograms: Mapping[str, ScoreHistogram],
    residuals: Mapping[str, tuple[Residuals, Residuals]],
    scores: pandas.DataFrame,
    *,
    residual: bool,
    chosen_here: Iterable[str] = (),
    slices: Mapping[str, SliceScores] | None = None,
    thresholds: Mapping[str, float | None] | None = None,
    classes: Mapping[str, ClassCounts] | None = None,
) -> pandas.DataFrame:
    """Metrics of pooled voxels (level ``cohort``), of every subject and of every scan.

    Of an approach that scores slices there are areas of pooled slices as well (level ``slice``); of
    one that scores nothing else there are no others.

    Parameters
    ----------
    subject_of : scan -> subject, of the scans to report on; at least one.
    histograms : scan -> its filtered scores.
    residuals : scan -> its unfiltered map on normal and on anomalous voxels.
    scores : columns scan, threshold_rule, metric, value: detections at every operating point.
    residual : whether the map is a residual of a reconstruction.
    chosen_here : rules whose threshold was chosen on these scans; they are marked as oracles.
    slices : scan -> scores of its slices, for approaches that score slices.
    thresholds : rule -> threshold of all voxels, at which these are scored together; None: no row.
    classes : scan -> counts by abnormality class, for cohorts that have classes.

    Returns
    -------
    table : columns :data:`ROW`. A subject's value is the mean over its scans; means and standard
        deviations of the level ``cohort`` are over subjects.
    """
    by_slice = _slice_rows(
        [slices[scan] for scan in subject_of if scan in slices] if slices else []
    )
    subject_of = {scan: subject for scan, subject in subject_of.items() if scan in histograms}
    if not subject_of:
        return by_slice
    chosen_here = list(chosen_here)
    own = scores[scores["scan"].isin(list(subject_of))]
    rules = {rule: marked(rule, chosen_here) for rule in own["threshold_rule"].unique()}
    detected = own.assign(
        subject=own["scan"].map(subject_of), threshold_rule=own["threshold_rule"].map(rules)
    )
    free = [
        [subject, scan, *row]
        for scan, subject in sorted(subject_of.items())
        for row in score_metrics(histograms[scan], *residuals[scan], residual=residual)
    ]
    pooled, normal, anomalous = _pooled(subject_of, histograms, residuals)
    optimistic = pandas.DataFrame(_at_youden(subject_of, histograms, pooled), columns=_SCAN)
    counts = {scan: classes[scan] for scan in sorted(subject_of) if classes and scan in classes}
    by_class = pandas.DataFrame(
        [[subject_of[scan], scan, *row] for scan, *row in class_rows(counts)], columns=_SCAN
    )
    # Values per scan that a subject has one of: at operating points, at that optimistic one, and of
    # each class.
    judged = [one for one in (optimistic, detected[_SCAN], by_class) if len(one)]
    whole = score_metrics(pooled, normal, anomalous, residual=residual) + youden_metrics(pooled)
    whole += operating_points(pooled, thresholds or {}, chosen_here)
    whole += over_subjects(over_scans(pandas.concat(judged))) if judged else []
    whole += patients_of_classes(by_class)
    scans = pandas.concat([pandas.DataFrame(free, columns=_SCAN), *judged])
    levels = {
        "cohort": pandas.DataFrame(whole, columns=_SCAN[2:]),
        "subject": over_scans(scans),
        "scan": scans,
    }
    tables = [table.assign(level=level) for level, table in levels.items()]
    tables += [by_slice] if len(by_slice) else []
    return pandas.concat(tables, ignore_index=True).reindex(columns=ROW)


def _at_youden(
    subject_of: Mapping[str, str], histograms: Mapping[str, ScoreHistogram], pooled: ScoreHistogram
) -> list[list[Any]]:
    """Dice of every scan at the optimistic threshold of all of them; none without lesions."""
    threshold = youden(pooled)
    if not np.isfinite(threshold):
        return []
    return [
        [subject, scan, ORACLE, "youden_dice", dice_above(histograms[scan], threshold)]
        for scan, subject in sorted(subject_of.items())
    ]


def _slice_rows(scans: list[SliceScores]) -> pandas.DataFrame:
    """Areas under curves of the slices of all scans together."""
    if not scans:
        return pandas.DataFrame(columns=ROW)
    pooled = _total(scans).histogram()
    rows = [[NO_THRESHOLD, "auroc", auroc(pooled)], [NO_THRESHOLD, "auprc", auprc(pooled)]]
    table = pandas.DataFrame(rows, columns=["threshold_rule", "metric", "value"])
    return table.assign(level=SLICE).reindex(columns=ROW)


def split_curves(
    scans: Iterable[str],
    histograms: Mapping[str, ScoreHistogram],
    residuals: Mapping[str, tuple[Residuals, Residuals]],
    froc: pandas.DataFrame,
) -> dict[str, Any]:
    """Points of the curves of all voxels of some scans (at least one) together, for plotting.

    Parameters
    ----------
    scans, histograms, residuals : as for :func:`split_rows`.
    froc : columns of :mod:`normscan.evaluation.froc`; its curve pools the lesions of all scans.
    """
    scans = [scan for scan in scans if scan in histograms]
    pooled, normal, anomalous = _pooled(scans, histograms, residuals)
    edges, *bars = linear_histograms(normal, anomalous)
    return {
        **thinned(pooled),
        "froc": froc_curve(froc[froc["scan"].isin(scans)]),
        "auroc": auroc(pooled),
        "auprc": auprc(pooled),
        "prevalence": float(pooled.lesion.sum() / (pooled.lesion + pooled.normal).sum()),
        "edges": edges.tolist(),
        "normal": bars[0].round(3).tolist(),
        "anomalous": bars[1].round(3).tolist(),
        "chi_square": chi_square(normal, anomalous),
    }


def _pooled(scans: Iterable[str], histograms, residuals):
    """Scores, residuals of normal and of anomalous voxels of several scans together."""
    scans = list(scans)
    return (
        _total(histograms[scan] for scan in scans),
        *(_total(residuals[scan][place] for scan in scans) for place in (0, 1)),
    )


def _total(values):
    """Sum of values that add up; there is at least one."""
    first, *others = values
    for value in others:
        first = first + value
    return first
