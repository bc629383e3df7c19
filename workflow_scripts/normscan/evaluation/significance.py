"""Uncertainty over patients, and paired comparison of approaches.

What is sampled are patients: every value here is one of a patient, not of a scan.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas
from scipy import stats

from normscan.errors import NormscanError

COLUMNS = ["first", "second", "patients", "difference", "p", "p_holm"]


def bootstrap_interval(
    values: np.ndarray, *, level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over patients.

    Parameters
    ----------
    values : (patients,); missing ones are left out.
    level : share of resampled means inside.
    samples : resamplings.

    Returns
    -------
    low, high : NaN for fewer than two patients.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    # In blocks: resampled values need memory for patients times samples.
    block = max(1, 2_000_000 // len(values))
    sizes = [min(block, samples - start) for start in range(0, samples, block)]
    means = [generator.choice(values, (size, len(values))).mean(axis=1) for size in sizes]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_test(first: np.ndarray, second: np.ndarray) -> float:
    """p value of the two-sided Wilcoxon signed-rank test over the same patients.

    Patients with a missing value are left out; the ranks of patients without a difference are
    shared between both sides. 1 when no patient differs; NaN without patients.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape:
        raise NormscanError("a paired test needs both approaches on the same patients")
    difference = (first - second)[np.isfinite(first) & np.isfinite(second)]
    if not len(difference):
        return float("nan")
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference, zero_method="zsplit").pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """p values adjusted for multiple comparison (Holm 1979); missing ones stay missing."""
    p = np.asarray(p, float)
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return adjusted


def smallest_p(patients: int, tests: int) -> float:
    """The smallest p, after Holm's correction, that so many paired tests can end with.

    All patients differ in the same direction: 2 of 2^n signs in the exact test.
    """
    return min(1.0, 2.0 ** (1 - patients) * tests)


def fewest_patients(tests: int, level: float = 0.05) -> int:
    """How many patients so many tests need so that any can end below the level."""
    patients = 2
    while smallest_p(patients, tests) >= level:
        patients += 1
    return patients


def compare(values: Mapping[str, pandas.Series]) -> pandas.DataFrame:
    """Every pair of approaches on their common patients, with Holm's correction over all pairs.

    Parameters
    ----------
    values : approach -> one value per patient, indexed by patient.

    Returns
    -------
    table : first, second, patients (common ones), difference (mean of first - second), p, p_holm.
    """
    names = list(values)
    rows = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            both = pandas.concat([values[first], values[second]], axis=1, join="inner").dropna()
            one, other = both.iloc[:, 0].to_numpy(float), both.iloc[:, 1].to_numpy(float)
            difference = float((one - other).mean()) if len(both) else float("nan")
            rows.append([first, second, len(both), difference, paired_test(one, other), np.nan])
    table = pandas.DataFrame(rows, columns=COLUMNS)
    table["p_holm"] = holm(table["p"].to_numpy(float))
    return table
