"""Uncertainty over patients, and paired comparison of approaches.

What is sampled are patients: every value here is one of a patient, not of a scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations

import numpy as np
import pandas
from scipy import stats

from normscan.errors import NormscanError

# Patients up to which tests are exact; as in SciPy, which is exact there without ties.
EXACT = 50
COLUMNS = ["first", "second", "patients", "difference", "low", "high", "p", "p_holm", "p_t"]
LEVEL, SAMPLES = 0.95, 10_000
# Resampled values that are held at once.
MOST = 2_000_000


def bootstrap_interval(
    values: np.ndarray, *, level: float = LEVEL, samples: int = SAMPLES, seed: int = 0
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
    block = max(1, MOST // len(values))
    sizes = [min(block, samples - start) for start in range(0, samples, block)]
    means = [generator.choice(values, (size, len(values))).mean(axis=1) for size in sizes]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_intervals(
    differences: np.ndarray, *, level: float = LEVEL, samples: int = SAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap intervals of mean differences, patients resampled with both values.

    Parameters
    ----------
    differences : (patients, comparisons); missing ones are left out of their own comparison. All
        comparisons see the same resampled patients.
    level : share of resampled means inside.
    samples : resamplings.

    Returns
    -------
    low, high : (comparisons,); NaN for fewer than two differences.
    """
    differences = np.asarray(differences, float)
    patients, pairs = differences.shape
    if patients < 2 or not pairs:
        return np.full(pairs, np.nan), np.full(pairs, np.nan)
    known = np.isfinite(differences)
    filled, counted = np.where(known, differences, 0.0), known.astype(float)
    generator = np.random.default_rng(seed)
    block = max(1, MOST // patients)
    means = np.empty((samples, pairs))
    for start in range(0, samples, block):
        part = means[start : start + block]
        # How often each patient is drawn: all means are then a product of matrices.
        drawn = generator.multinomial(patients, np.full(patients, 1 / patients), len(part))
        drawn = drawn.astype(float)
        # NaN where nobody who has both values was drawn.
        with np.errstate(invalid="ignore"):
            part[:] = (drawn @ filled) / (drawn @ counted)
    few = known.sum(axis=0) < 2
    means[:, few] = 0.0
    low, high = np.nanquantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return np.where(few, np.nan, low), np.where(few, np.nan, high)


def paired_test(first: np.ndarray, second: np.ndarray) -> float:
    """p value of the two-sided Wilcoxon signed-rank test over the same patients.

    Patients with a missing value are left out; the ranks of patients without a difference are
    shared between both sides. 1 when no patient differs; NaN without patients.
    The distribution is exact, with ties as well, up to :data:`EXACT` patients, beyond that normal.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape:
        raise NormscanError("a paired test needs both approaches on the same patients")
    difference = (first - second)[np.isfinite(first) & np.isfinite(second)]
    if not len(difference):
        return float("nan")
    if not difference.any():
        return 1.0
    if len(difference) > EXACT:
        found = stats.wilcoxon(difference, zero_method="zsplit", method="asymptotic")
        return float(found.pvalue)
    # Twice the ranks are whole numbers: ties share the mean of theirs.
    ranks = np.rint(2 * stats.rankdata(np.abs(difference))).astype(int)
    moved = difference != 0
    counts = _signed_rank_counts(tuple(sorted(ranks[moved].tolist())))
    positive = int(ranks[difference > 0].sum())
    tail = min(counts[: positive + 1].sum(), counts[positive:].sum())
    return float(min(1.0, 2 * tail / 2.0 ** moved.sum()))


def paired_t_test(differences: np.ndarray) -> np.ndarray:
    """p values of two-sided paired t-tests: whether the mean of differences is 0.

    As Kim et al. 2021 compare approaches (section 3.1).

    Parameters
    ----------
    differences : (samples, ...), every column a test of its own; missing ones are left out.

    Returns
    -------
    p : (...). NaN for fewer than two differences, and where all are equal (trainings without
        chance): nothing varies that the mean could be measured by. Two equal approaches have p = 1.
    """
    differences = np.asarray(differences, float)
    known = np.isfinite(differences)
    filled, count = np.where(known, differences, 0.0), known.sum(axis=0)
    mean = filled.sum(axis=0) / np.maximum(count, 1)
    squares = (np.where(known, differences - mean, 0.0) ** 2).sum(axis=0)
    largest = np.abs(filled).max(axis=0, initial=0)
    # Equal up to rounding.
    varies = (count > 1) & (squares > (1e-12 * largest) ** 2)
    error = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
    t = np.divide(mean, error, out=np.zeros_like(mean), where=varies)
    p = 2 * stats.t.sf(np.abs(t), np.maximum(count - 1, 1))
    return np.where(varies, p, np.where((count > 1) & (largest == 0), 1.0, np.nan))


@lru_cache(maxsize=1024)
def _signed_rank_counts(ranks: tuple[int, ...]) -> np.ndarray:
    """Of how many choices of signs each sum of positive ranks is (0 to the sum of all).

    Every rank is in or out: one after the other is added to all sums so far. Counts of up to 2^53
    are whole in float64.
    """
    counts = np.zeros(sum(ranks) + 1)
    counts[0] = 1
    for rank in ranks:
        counts[rank:] += counts[:-rank].copy()
    return counts


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


def most_coverage(patients: int) -> float:
    """How often an interval from the least to the greatest of so many values holds their median.

    No resampling of them reaches further, so a 95 % interval takes six (of two: 50 %).
    """
    return 1 - 0.5 ** (patients - 1)


def compare(values: Mapping[str, pandas.Series]) -> pandas.DataFrame:
    """Every pair of approaches on their common patients, with Holm's correction over all pairs.

    Parameters
    ----------
    values : approach -> one value per patient, indexed by patient.

    Returns
    -------
    table : first, second, patients (common ones), difference (mean of first - second), low, high
        (its 95 % interval, :func:`paired_intervals`), p, p_holm; p_t: of :func:`paired_t_test` over
        the same patients, not corrected.
    """
    # Patients by approaches; NaN where an approach has no value.
    frame = pandas.DataFrame(values)
    measured = {name: column.to_numpy(float) for name, column in frame.items()}
    pairs = list(combinations(values, 2))
    differences = np.empty((len(frame), len(pairs)))
    for place, (first, second) in enumerate(pairs):
        differences[:, place] = measured[first] - measured[second]
    low, high = paired_intervals(differences)
    rows = []
    for place, (first, second) in enumerate(pairs):
        difference = differences[:, place]
        difference = difference[np.isfinite(difference)]
        mean = float(difference.mean()) if len(difference) else float("nan")
        p = paired_test(difference, np.zeros_like(difference))
        t = float(paired_t_test(difference))
        found = [len(difference), mean, low[place], high[place], p, np.nan, t]
        rows.append([first, second, *found])
    table = pandas.DataFrame(rows, columns=COLUMNS)
    table["p_holm"] = holm(table["p"].to_numpy(float))
    return table


def against(tests: pandas.DataFrame, name: str, other: str) -> dict[str, float] | None:
    """One approach against another, whichever stands first in the table of :func:`compare`.

    Returns
    -------
    entry : ``patients``, ``difference`` (name minus other), its ``low`` and ``high`` (NaN in tables
        without them) and ``p_holm``; None when the two were not compared.
    """
    for first, second, sign in ((name, other, 1), (other, name, -1)):
        found = tests[(tests["first"] == first) & (tests["second"] == second)]
        if len(found):
            one = found.iloc[0]
            low, high = (float(one.get(end, np.nan)) for end in ("low", "high"))
            low, high = (low, high) if sign > 0 else (0.0 - high, 0.0 - low)
            return {
                "patients": int(one["patients"]),
                "difference": float(sign * one["difference"]),
                "low": low,
                "high": high,
                "p_holm": float(one["p_holm"]),
            }
    return None
