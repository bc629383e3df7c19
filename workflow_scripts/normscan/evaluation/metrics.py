"""Tidy rows of metrics."""

from __future__ import annotations

import numpy as np
import pandas

from normscan.evaluation.curves import auprc, auroc
from normscan.evaluation.residuals import Residuals, chi_square
from normscan.postprocessing.histograms import ScoreHistogram
from normscan.postprocessing.thresholds import best_dice

COLUMNS = [
    "cohort",
    "approach",
    "seed",
    "split",
    "level",
    "subject",
    "threshold_rule",
    "metric",
    "value",
]
NO_THRESHOLD, ORACLE = "none", "oracle"


def score_metrics(
    histogram: ScoreHistogram, normal: Residuals, anomalous: Residuals
) -> list[tuple[str, str, float]]:
    """(threshold rule, metric, value) of pooled voxels; values found with their own labels are
    marked as oracle."""
    dice, threshold = best_dice(histogram)
    return [
        (NO_THRESHOLD, "auroc", auroc(histogram)),
        (NO_THRESHOLD, "auprc", auprc(histogram)),
        (ORACLE, "best_dice", dice),
        (ORACLE, "best_dice_threshold", threshold),
        (NO_THRESHOLD, "l1_normal", normal.mean),
        (NO_THRESHOLD, "l1_normal_std", normal.std),
        (NO_THRESHOLD, "l1_anomalous", anomalous.mean),
        (NO_THRESHOLD, "l1_anomalous_std", anomalous.std),
        (NO_THRESHOLD, "chi_square", chi_square(normal, anomalous)),
    ]


def over_subjects(rows: pandas.DataFrame) -> list[tuple[str, str, float]]:
    """Mean and standard deviation over subjects of segmentation scores, per threshold rule.

    Parameters
    ----------
    rows : columns threshold_rule, metric, value; one row per subject.
    """
    found = []
    for (rule, metric), group in rows.groupby(["threshold_rule", "metric"], sort=True):
        values = group["value"].dropna().to_numpy(float)
        mean = values.mean() if len(values) else np.nan
        std = values.std() if len(values) else np.nan
        found += [(rule, f"{metric}_mean", float(mean)), (rule, f"{metric}_std", float(std))]
    return found
