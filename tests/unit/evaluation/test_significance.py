import numpy as np
import pandas
import pytest
from scipy import stats

from normscan.errors import NormscanError
from normscan.evaluation.significance import (
    bootstrap_interval,
    compare,
    fewest_patients,
    holm,
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


def test_paired_test_equals_scipy():
    generator = np.random.default_rng(0)
    first, second = generator.random(15), generator.random(15) + 0.2
    expected = stats.wilcoxon(first, second).pvalue
    assert paired_test(first, second) == pytest.approx(expected)
    assert paired_test(np.r_[first, np.nan], np.r_[second, 1]) == pytest.approx(expected)


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
