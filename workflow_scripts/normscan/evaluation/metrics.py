"""Tidy rows of metrics, and their summaries over scans, over subjects and over seeds.

A metric's threshold rule is ``none`` when it needs no threshold, and ``oracle`` when it was found
with the labels that it is reported on, so that no oracle value can be taken for a result. A rule
that chose its threshold on the very scans of a row is marked alike: ``oracle:best_dice``.

A subject may have several scans (sessions). They resemble each other, so whatever is said of
patients starts from one value per subject: the mean over its scans.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import pandas

from normscan.evaluation.curves import auprc, auroc
from normscan.evaluation.residuals import Residuals, chi_square
from normscan.postprocessing.histograms import ScoreHistogram, score_bins
from normscan.postprocessing.thresholds import best_dice, youden

COLUMNS = [
    "cohort",
    "approach",
    "seed",
    "split",
    "level",
    "subject",
    "scan",
    "threshold_rule",
    "metric",
    "value",
]
NO_THRESHOLD, ORACLE = "none", "oracle"
# The level of what is said of whole slices; all other levels are of voxels and lesions.
SLICE = "slice"


def marked(rule: str, chosen_here: Iterable[str]) -> str:
    """A rule's label, marked as an oracle when its threshold was chosen on the scans reported."""
    return f"{ORACLE}:{rule}" if rule in set(chosen_here) else rule


def is_oracle(rule: str) -> bool:
    """Whether a value under this rule was found with the labels that it is reported on."""
    return rule.partition(":")[0] == ORACLE


def score_metrics(
    histogram: ScoreHistogram, normal: Residuals, anomalous: Residuals, *, residual: bool
) -> list[tuple[str, str, float]]:
    """Metrics of pooled voxels that need no operating point.

    Parameters
    ----------
    histogram : of filtered scores in the evaluated region.
    normal, anomalous : of the unfiltered map in the same region.
    residual : whether the map is a residual of a reconstruction (a detector's ``RESIDUAL``). Of any
        other map (ranks, weighted residuals) the mean is no L1 error, and none is given.

    Returns
    -------
    rows : (threshold rule, metric, value); NaN where a class has no voxels.
    """
    dice, threshold = best_dice(histogram)
    errors = [
        (NO_THRESHOLD, "l1_normal", normal.mean),
        (NO_THRESHOLD, "l1_normal_std", normal.std),
        (NO_THRESHOLD, "l1_anomalous", anomalous.mean),
        (NO_THRESHOLD, "l1_anomalous_std", anomalous.std),
    ]
    return [
        (NO_THRESHOLD, "auroc", auroc(histogram)),
        (NO_THRESHOLD, "auprc", auprc(histogram)),
        (ORACLE, "best_dice", dice),
        (ORACLE, "best_dice_threshold", threshold),
        *(errors if residual else []),
        (NO_THRESHOLD, "chi_square", chi_square(normal, anomalous)),
    ]


def youden_metrics(pooled: ScoreHistogram) -> list[tuple[str, str, float]]:
    """What the optimistic threshold of You et al. 2019 (DSC_AUC, section 2.4) gives on all voxels.

    It is the one with the largest TPR - FPR, found with the labels of the very voxels that are
    reported on: a bound, under the rule ``oracle``, and never an operating point.

    Returns
    -------
    rows : ``youden_threshold``, and ``youden_fpr`` and ``youden_fnr`` there; none without voxels of
        both classes.
    """
    threshold = youden(pooled)
    if not np.isfinite(threshold):
        return []
    true = ScoreHistogram(pooled.lesion, pooled.normal).exceeding(threshold)
    return [
        (ORACLE, "youden_threshold", threshold),
        (ORACLE, "youden_fpr", pooled.exceeding(threshold)),
        (ORACLE, "youden_fnr", 1 - true),
    ]


def dice_above(histogram: ScoreHistogram, threshold: float) -> float:
    """Voxel-wise Dice of a scan at a threshold of a bin, small components included.

    NaN where there is neither a lesion nor a detection.
    """
    above = int(score_bins(np.array([threshold]))[0]) + 1
    false, true = (int(one[above:].sum()) for one in (histogram.normal, histogram.lesion))
    size = false + true + int(histogram.lesion.sum())
    return 2 * true / size if size else float("nan")


def over_scans(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Mean over the scans of each subject: one value per subject where there was one per scan.

    Parameters
    ----------
    rows : any columns with ``scan`` and ``value``; the others name what the value is of. Missing
        values (a recall without lesions) are left out.

    Returns
    -------
    table : the same columns without ``scan``, in the order of the rows.
    """
    keys = [name for name in rows.columns if name not in ("scan", "value")]
    return rows.groupby(keys, sort=False, dropna=False)["value"].mean().reset_index()


def over_subjects(rows: pandas.DataFrame) -> list[tuple[str, str, float]]:
    """Mean and standard deviation over subjects, per threshold rule and metric.

    Parameters
    ----------
    rows : columns threshold_rule, metric, value; one row per subject (:func:`over_scans`). Missing
        values (a recall without lesions) are left out.

    Returns
    -------
    rows : (threshold rule, ``{metric}_mean`` or ``{metric}_std``, value). The standard deviation is
        that of the subjects at hand (ddof 0); over one subject it is 0.
    """
    found = []
    for keys, group in rows.groupby(["threshold_rule", "metric"], sort=True):
        rule, metric = cast("tuple[str, str]", keys)
        values = group["value"].dropna().to_numpy(float)
        mean, std = (values.mean(), values.std()) if len(values) else (np.nan, np.nan)
        found += [(rule, f"{metric}_mean", float(mean)), (rule, f"{metric}_std", float(std))]
    return found


def over_seeds(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Mean and spread over trainings of every metric of ``metrics.tsv``.

    Parameters
    ----------
    rows : table with the columns :data:`COLUMNS`.

    Returns
    -------
    table : the columns but ``seed`` and ``value``, and ``seeds`` (how many have a value), ``mean``,
        ``std`` (ddof 1: seeds are a sample; NaN for fewer than two).
    """
    keys = [name for name in COLUMNS if name not in ("seed", "value")]
    filled = rows.fillna(dict.fromkeys(keys, ""))
    found = filled.groupby(keys, sort=False)["value"].agg(seeds="count", mean="mean", std="std")
    return found.reset_index()
