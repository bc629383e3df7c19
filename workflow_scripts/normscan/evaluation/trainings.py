"""Approaches over their trainings: mean and spread of what all voxels give, and paired t-tests.

Kim et al. 2021, section 3.1 and Tables I to IV: every approach was trained three times, with the
mean and the standard deviation of each metric over these trainings, and a paired t-test of the AUC
between ADM and each other approach. What the test pairs is not said; its p for DAGc on BraTS (0.08)
is what three trainings with the means and deviations of Table I give, so trainings are paired here.

A test over trainings asks whether another training would turn the result around, not whether other
patients would: that is ``study.comparisons``.
"""

from __future__ import annotations

import numpy as np
import pandas

from normscan.evaluation.metrics import NO_THRESHOLD, over_seeds
from normscan.evaluation.significance import paired_t_test

# Of pooled voxels; the last three at every threshold rule.
MEASURES = ("auroc", "auprc", "dice", "precision", "recall")
TESTED = ("auroc", "auprc", "dice")
KEYS = ["cohort", "split", "threshold_rule", "metric"]
COLUMNS = [*KEYS, "approach", "seeds", "mean", "std"]
TEST_COLUMNS = [*KEYS, "first", "second", "seeds", "difference", "p"]


def trainings(metrics: pandas.DataFrame) -> pandas.DataFrame:
    """Mean and standard deviation over seeds of the metrics of pooled voxels, in both splits.

    Parameters
    ----------
    metrics : rows of ``metrics.tsv``.

    Returns
    -------
    table : columns :data:`COLUMNS`; ``seeds`` is how many have a value, ``std`` has ddof 1 and is
        NaN for one training. Approaches in the order of the rows.
    """
    return over_seeds(_pooled(metrics))[COLUMNS]


def training_tests(metrics: pandas.DataFrame, split: str = "test") -> pandas.DataFrame:
    """Paired t-tests over the trainings (seeds) that both approaches have, of every pair.

    An approach without a model was made once: its value stands beside every training of the other.

    Returns
    -------
    table : columns :data:`TEST_COLUMNS`; ``difference`` is the mean of first - second, p is not
        corrected for the number of pairs, and NaN as of ``significance.paired_t_test``.
    """
    rows = _pooled(metrics)
    rows = rows[(rows["split"] == split) & rows["metric"].isin(TESTED)]
    found = []
    for keys, group in rows.groupby(KEYS, sort=False):
        names = list(dict.fromkeys(group["approach"]))
        wide = group.pivot(index="seed", columns="approach", values="value")[names]
        # What needs no training has one value, whichever seed others are trained with.
        once = [name for name, rows in group.groupby("approach") if len(rows) == 1]
        wide[once] = wide[once].ffill().bfill()
        values = wide.to_numpy()
        one, other = np.triu_indices(len(names), 1)
        # (seeds, pairs)
        differences = values[:, one] - values[:, other]
        seeds = np.isfinite(differences).sum(axis=0)
        mean = np.nansum(differences, axis=0) / np.where(seeds, seeds, np.nan)
        p = paired_t_test(differences)
        for n, (a, b) in enumerate(zip(one, other)):
            found.append([*keys, names[a], names[b], seeds[n], mean[n], p[n]])
    return pandas.DataFrame(found, columns=TEST_COLUMNS)


def _pooled(metrics: pandas.DataFrame) -> pandas.DataFrame:
    rows = metrics[(metrics["level"] == "cohort") & metrics["metric"].isin(MEASURES)]
    return rows.assign(threshold_rule=rows["threshold_rule"].fillna(NO_THRESHOLD))
