import itertools
import time

import numpy as np
import pandas
import pytest
from scipy import stats

from normscan.errors import NormscanError
from normscan.evaluation.significance import (
    against,
    bootstrap_interval,
    compare,
    fewest_patients,
    holm,
    paired_intervals,
    paired_test,
    smallest_p,
)


def test_intervals_equal_scipy_bootstrap():
    values = np.random.default_rng(0).beta(2, 3, 40)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    found = bootstrap_interval(values, samples=20_000)
    assert found == pytest.approx((expected.low, expected.high), abs=0.005)


def test_intervals_are_repeatable_and_leave_missing_patients_out():
    values = np.random.default_rng(0).random(20)
    with_missing = np.insert(values, 5, np.nan)
    assert bootstrap_interval(values) == bootstrap_interval(with_missing)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)
    assert np.isnan(bootstrap_interval(values[:1])).all()


def test_paired_intervals_equal_scipy_for_every_pair():
    differences = np.random.default_rng(0).normal([0.1, -0.3, 0], [0.2, 0.1, 0.5], (30, 3))
    low, high = paired_intervals(differences)
    expected = stats.bootstrap(
        (differences,), np.mean, axis=0, n_resamples=20_000, method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(low, expected.low, atol=0.01)
    np.testing.assert_allclose(high, expected.high, atol=0.01)
    again = paired_intervals(differences)
    np.testing.assert_array_equal(again, (low, high))


def test_patients_are_resampled_not_values_of_either_approach():
    """An approach that is always a little better: its lead is certain, its level is not."""
    level = np.random.default_rng(0).random(20)
    values = {"a": pandas.Series(level + 0.01), "b": pandas.Series(level)}
    table = compare(values)
    assert table.loc[0, ["low", "high"]].tolist() == pytest.approx([0.01, 0.01])
    low, high = bootstrap_interval(level)
    assert high - low > 0.1


def test_missing_patients_are_left_out_of_their_own_pair_only():
    differences = np.random.default_rng(0).normal(0.2, 0.1, (25, 3))
    with_gaps = differences.copy()
    with_gaps[10:, 1] = np.nan
    with_gaps[1:, 2] = np.nan
    low, high = paired_intervals(with_gaps)
    whole = paired_intervals(differences)
    assert (low[0], high[0]) == pytest.approx((whole[0][0], whole[1][0]))
    alone = paired_intervals(differences[:10, 1:2])
    assert (low[1], high[1]) == pytest.approx((alone[0][0], alone[1][0]), abs=0.02)
    assert np.isnan([low[2], high[2]]).all()
    assert np.isnan(paired_intervals(differences[:1])).all()


def test_either_order_of_a_pair_has_its_sign():
    values = {"a": pandas.Series([0.5, 0.6, 0.9]), "b": pandas.Series([0.4, 0.4, 0.8])}
    table = compare(values)
    one, other = against(table, "a", "b"), against(table, "b", "a")
    assert one["difference"] == pytest.approx(0.4 / 3) and one["low"] == pytest.approx(0.1)
    assert (other["low"], other["high"]) == (-one["high"], -one["low"])
    assert other["difference"] == -one["difference"] and other["patients"] == 3
    assert against(table, "a", "c") is None


def test_paired_test_equals_scipy():
    generator = np.random.default_rng(0)
    first, second = generator.random(15), generator.random(15) + 0.2
    expected = stats.wilcoxon(first, second).pvalue
    assert paired_test(first, second) == pytest.approx(expected)
    assert paired_test(np.r_[first, np.nan], np.r_[second, 1]) == pytest.approx(expected)


def by_all_signs(difference: np.ndarray) -> float:
    """Two-sided p of the sum of positive ranks over all choices of signs, each alike."""
    ranks = stats.rankdata(np.abs(difference))
    signs = np.array(list(itertools.product((0, 1), repeat=len(difference))))
    # Patients without a difference count half on each side, whatever their sign.
    sums = np.where(difference == 0, 0.5, signs) @ ranks
    seen = np.where(difference == 0, 0.5, difference > 0) @ ranks
    return min(1, 2 * min((sums <= seen).mean(), (sums >= seen).mean()))


@pytest.mark.parametrize("seed", range(8))
def test_paired_test_with_ties_equals_all_signs(seed):
    generator = np.random.default_rng(seed)
    difference = generator.integers(-3, 5, 3 + seed).astype(float)
    assert paired_test(difference, np.zeros_like(difference)) == pytest.approx(
        by_all_signs(difference)
    )


@pytest.mark.parametrize("patients", [2, 9, 14, 30, 50])
def test_paired_test_without_ties_is_exact(patients):
    difference = np.random.default_rng(patients).normal(0.3, 1, patients)
    expected = stats.wilcoxon(difference, method="exact").pvalue
    assert paired_test(difference, np.zeros(patients)) == pytest.approx(expected, rel=1e-12)


def test_paired_test_of_many_patients_is_near_the_exact_one():
    difference = np.random.default_rng(0).normal(0.2, 1, 51)
    exact = stats.wilcoxon(difference, method="exact").pvalue
    assert paired_test(difference, np.zeros(51)) == pytest.approx(exact, rel=0.05)


def test_a_thousand_pairs_with_ties_take_no_time():
    """A second for each, when all signs are tried."""
    generator = np.random.default_rng(0)
    values = {str(n): pandas.Series(generator.integers(0, 6, 13) / 5) for n in range(45)}
    before = time.process_time()
    table = compare(values)
    assert len(table) == 990 and table["p"].notna().all()
    assert time.process_time() - before < 10


def test_paired_test_without_differences_or_patients():
    assert paired_test(np.ones(5), np.ones(5)) == 1
    assert np.isnan(paired_test(np.full(3, np.nan), np.ones(3)))
    with pytest.raises(NormscanError, match="same patients"):
        paired_test(np.ones(3), np.ones(4))


def test_holm_by_hand():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, np.nan, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.6, 0.9])), [1, 1])
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_pairs_are_compared_on_their_common_patients():
    patients = [f"{number:02}" for number in range(12)]
    base = pandas.Series(np.linspace(0.1, 0.6, 12), patients)
    values = {
        "vae": base + 0.1,
        "ae": base.iloc[::-1],  # another order of the same patients
        "intensity": base.iloc[:8],
    }
    table = compare(values)
    assert list(zip(table["first"], table["second"])) == [
        ("vae", "ae"),
        ("vae", "intensity"),
        ("ae", "intensity"),
    ]
    assert table["patients"].tolist() == [12, 8, 8]
    assert table["difference"].tolist() == pytest.approx([0.1, 0.1, 0])
    assert table["p"].iloc[0] == pytest.approx(stats.wilcoxon(np.full(12, 0.1)).pvalue)
    assert table["p"].iloc[2] == 1
    np.testing.assert_allclose(table["p_holm"], holm(table["p"].to_numpy()))


def test_as_many_patients_as_needed_and_no_more():
    for tests in (1, 10, 153):
        needed = fewest_patients(tests)
        assert smallest_p(needed, tests) < 0.05 <= smallest_p(needed - 1, tests)
    assert fewest_patients(1) == 6


@pytest.mark.parametrize("patients", [2, 5, 9, 12])
def test_the_smallest_p_is_that_of_patients_who_all_agree(patients):
    better = np.arange(1.0, patients + 1)
    alone = smallest_p(patients, 1)
    assert alone == pytest.approx(stats.wilcoxon(better, mode="exact").pvalue)
    assert smallest_p(patients, 10) == pytest.approx(min(1, 10 * alone))
