"""Means, spreads and paired t-tests over trainings, against SciPy and the paper's own numbers."""

import numpy as np
import pandas
import pytest
from scipy import stats

from normscan.evaluation.metrics import COLUMNS
from normscan.evaluation.significance import compare, paired_t_test
from normscan.evaluation.trainings import training_tests, trainings


def rows(approach, values, metric="auroc", rule="none", split="test", level="cohort"):
    return [
        ["brats", approach, seed, split, level, None, None, rule, metric, value]
        for seed, value in enumerate(values)
    ]


def table(*parts):
    return pandas.DataFrame([row for part in parts for row in part], columns=COLUMNS)


ADM, DAG = [0.939, 0.940, 0.938], [0.92, 0.91, 0.897]


def test_means_and_deviations_over_trainings():
    found = trainings(
        table(
            rows("ADM", ADM),
            rows("ADM", [0.5, 0.7, np.nan], "precision", "best_dice"),
            rows("ADM", [0.9], split="validation"),
            rows("ADM", [0.1], "chi_square"),
            rows("ADM", [0.2], level="subject"),
        )
    )
    assert len(found) == 3
    area = found[(found["metric"] == "auroc") & (found["split"] == "test")].iloc[0]
    assert (area["seeds"], area["mean"]) == (3, pytest.approx(0.939))
    assert area["std"] == pytest.approx(np.std(ADM, ddof=1))
    precision = found[found["metric"] == "precision"].iloc[0]
    assert (precision["seeds"], precision["mean"]) == (2, pytest.approx(0.6))
    assert np.isnan(found[found["split"] == "validation"]["std"]).all()


def test_trainings_are_paired_by_seed_as_scipy_pairs_them():
    made = table(rows("ADM", ADM), rows("DAGc", DAG)).sample(frac=1, random_state=0)
    (found,) = training_tests(made).to_dict("records")
    sign = 1 if found["first"] == "ADM" else -1
    assert found["seeds"] == 3
    assert sign * found["difference"] == pytest.approx(np.mean(ADM) - np.mean(DAG))
    assert found["p"] == pytest.approx(stats.ttest_rel(ADM, DAG).pvalue)


def test_what_is_not_trained_stands_beside_every_training():
    (found,) = training_tests(table(rows("intensity", [0.9]), rows("ADM", ADM))).to_dict("records")
    assert found["seeds"] == 3
    assert found["p"] == pytest.approx(stats.ttest_1samp(ADM, 0.9).pvalue)


def test_the_papers_p_is_what_its_three_trainings_give():
    """DAGc on BraTS: 0.939 ± 0.001 against 0.909 ± 0.015, p = 0.08."""
    shape = np.array([-1.0, 0.0, 1.0])
    for turned in (1, -1):
        p = paired_t_test((0.939 + 0.001 * shape) - (0.909 + 0.015 * turned * shape))
        assert p == pytest.approx(0.08, abs=0.02)


def test_many_tests_at_once_leave_out_what_is_missing():
    differences = np.random.default_rng(0).normal(0.3, 1, (7, 4))
    differences[2, 1] = differences[4, 3] = np.nan
    expected = stats.ttest_1samp(differences, 0, nan_policy="omit").pvalue
    assert paired_t_test(differences) == pytest.approx(np.asarray(expected))


def test_one_training_or_no_chance_has_no_p():
    assert np.isnan(training_tests(table(rows("a", [0.5]), rows("b", [0.4])))["p"]).all()
    assert np.isnan(paired_t_test(np.array([0.1, 0.1, 0.1])))
    assert paired_t_test(np.zeros(3)) == 1
    assert np.isnan(paired_t_test(np.full((3, 1), np.nan))).all()
    assert len(training_tests(table(rows("a", [0.5, 0.6])))) == 0


def test_patients_are_tested_by_t_as_well():
    random = np.random.default_rng(0)
    one, other = (pandas.Series(random.random(9), index=list("abcdefghi")) for _ in range(2))
    other.iloc[3] = np.nan
    (row,) = compare({"one": one, "other": other}).to_dict("records")
    kept = other.notna()
    assert row["p_t"] == pytest.approx(stats.ttest_rel(one[kept], other[kept]).pvalue)
