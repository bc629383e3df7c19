"""Approaches against each other over all cohorts: summaries, correlations, ranks, statistics.

Everything starts from ``metrics.tsv``. Seeds of one approach are trainings of the same thing: their
mean is taken first, and their spread is reported by itself. Patients are what is sampled: a patient
with several scans has one value, their mean (level ``subject``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas
from scipy import stats

from normscan.evaluation.metrics import NO_THRESHOLD, ORACLE
from normscan.evaluation.significance import bootstrap_interval, compare

# Measures of the study's Fig. 10, and the threshold rule under which metrics.tsv has them.
MEASURES = {
    "auprc": NO_THRESHOLD,
    "best_dice": ORACLE,
    "l1_normal": NO_THRESHOLD,
    "l1_anomalous": NO_THRESHOLD,
    "chi_square": NO_THRESHOLD,
}
# Per patient; those of a detection are taken under the primary threshold rule.
PATIENT_MEASURES = ["auprc", "dice", "lesion_recall", "false_positives", "volume_error"]
PATIENT_MEASURES += ["box_precision", "box_recall", "box_iou"]
# Measures that need no operating point.
_FREE = {*MEASURES, "auroc"}
# Those that approaches are tested by, patient by patient.
TESTED = ("auprc", "dice", "auroc")
FEWEST = 3


def summary(metrics: pandas.DataFrame, split: str = "test") -> pandas.DataFrame:
    """Mean and spread over seeds of each measure of pooled voxels.

    Returns
    -------
    table : cohort, approach, metric, mean, std (over seeds, ddof 1; NaN for one), seeds.
    """
    rows = metrics[(metrics["split"] == split) & (metrics["level"] == "cohort")]
    rule = rows["metric"].map(MEASURES)
    rows = rows[rule.notna() & (rows["threshold_rule"] == rule)]
    found = rows.groupby(["cohort", "approach", "metric"], sort=False)["value"]
    return found.agg(["mean", "std", "count"]).rename(columns={"count": "seeds"}).reset_index()


def with_residuals(table: pandas.DataFrame) -> list[str]:
    """Approaches with an L1 error: those whose map is a residual of a reconstruction.

    Parameters
    ----------
    table : of :func:`summary`, or metric rows.
    """
    return list(dict.fromkeys(table.loc[table["metric"] == "l1_normal", "approach"]))


def strongest(values: Mapping[str, float], names: Iterable[str]) -> str:
    """Of some approaches (the baselines) that with the largest value; "" without any.

    Picked on the scans that are reported on, which favours it: the conservative choice for a
    baseline, and for nothing else.
    """
    known = [name for name in names if np.isfinite(values.get(name, np.nan))]
    return max(known, key=lambda name: values[name], default="")


def correlations(table: pandas.DataFrame, cohort: str) -> pandas.DataFrame:
    """Pearson correlation over approaches between :data:`MEASURES` (Baur et al. 2021, Fig. 10).

    Over approaches whose map is a residual of a reconstruction: only they have all measures, and
    every coefficient is over the same approaches.

    Parameters
    ----------
    table : of :func:`summary`.

    Returns
    -------
    matrix : measures by measures; NaN where fewer than three approaches have both.
    """
    own = table[(table["cohort"] == cohort) & table["approach"].isin(with_residuals(table))]
    wide = own.pivot(index="approach", columns="metric", values="mean")
    names = [name for name in MEASURES if name in wide]
    return wide[names].corr(method="pearson", min_periods=FEWEST)


def rank_correlation(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    """Spearman correlation of two rankings over the approaches that both have.

    Returns
    -------
    facts : ``approaches`` (how many are common), ``rho`` and ``p``; NaN for fewer than three.
    """
    both = [
        (ours[name], theirs[name])
        for name in ours
        if name in theirs and np.isfinite(ours[name]) and np.isfinite(theirs[name])
    ]
    if len(both) < FEWEST:
        return {"approaches": len(both), "rho": float("nan"), "p": float("nan")}
    found = stats.spearmanr(*zip(*both))
    return {"approaches": len(both), "rho": float(found.statistic), "p": float(found.pvalue)}


def patient_values(
    metrics: pandas.DataFrame, cohort: str, measure: str, rule: str, split: str = "test"
) -> dict[str, pandas.Series]:
    """approach -> one value per patient (mean over their scans and over seeds), by patient.

    Parameters
    ----------
    rule : threshold rule of measures of a detection; the others need none.
    """
    needed = NO_THRESHOLD if measure in _FREE else rule
    rows = metrics[
        (metrics["cohort"] == cohort)
        & (metrics["split"] == split)
        & (metrics["level"] == "subject")
        & (metrics["metric"] == measure)
        & (metrics["threshold_rule"] == needed)
    ]
    return {
        approach: group.groupby("subject")["value"].mean()
        for approach, group in rows.groupby("approach", sort=False)
    }


def patient_statistics(
    metrics: pandas.DataFrame, cohort: str, rule: str, split: str = "test"
) -> pandas.DataFrame:
    """Means over patients with 95 % bootstrap intervals, and the spread of that mean over seeds.

    Returns
    -------
    table : cohort, approach, metric, patients, mean, low, high, seeds_std (NaN for one seed).
    """
    rows = []
    for measure in PATIENT_MEASURES:
        values = patient_values(metrics, cohort, measure, rule, split)
        spread = _seed_spread(metrics, cohort, measure, rule, split)
        for approach, series in values.items():
            known = series.dropna().to_numpy(float)
            mean = float(known.mean()) if len(known) else float("nan")
            low, high = bootstrap_interval(known)
            seeds = spread.get(approach, float("nan"))
            rows.append([cohort, approach, measure, len(known), mean, low, high, seeds])
    columns = ["cohort", "approach", "metric", "patients", "mean", "low", "high", "seeds_std"]
    return pandas.DataFrame(rows, columns=columns)


def _seed_spread(metrics, cohort: str, measure: str, rule: str, split: str) -> dict[str, float]:
    """approach -> standard deviation over seeds of the mean over patients."""
    needed = NO_THRESHOLD if measure in _FREE else rule
    rows = metrics[
        (metrics["cohort"] == cohort)
        & (metrics["split"] == split)
        & (metrics["level"] == "subject")
        & (metrics["metric"] == measure)
        & (metrics["threshold_rule"] == needed)
    ]
    means = rows.groupby(["approach", "seed"])["value"].mean()
    return means.groupby(level=0).std(ddof=1).to_dict()


def comparisons(
    metrics: pandas.DataFrame, cohort: str, rule: str, split: str = "test"
) -> pandas.DataFrame:
    """Paired tests over patients of every pair of approaches, with Holm's correction per measure.

    Returns
    -------
    table : cohort, metric, and the columns of ``significance.compare``.
    """
    found = []
    for measure in TESTED:
        values = patient_values(metrics, cohort, measure, rule, split)
        table = compare(values)
        table.insert(0, "metric", measure)
        table.insert(0, "cohort", cohort)
        found.append(table)
    return pandas.concat(found, ignore_index=True)
