"""Several scans of one patient: one patient, in every statistic."""

import numpy as np
import pandas
import pytest

from normscan.evaluation import study
from normscan.evaluation.metrics import COLUMNS, over_scans
from normscan.evaluation.significance import bootstrap_interval, paired_test

PATIENTS, SESSIONS, RUNS = 5, 4, 600
TRUE_MEAN = 0.5


@pytest.fixture(scope="module")
def runs():
    """(runs, approaches, patients, sessions): no approach is better, but each suits some patients.

    What an approach makes of a patient is the same in all of the patient's sessions, up to a little
    noise.
    """
    random = np.random.default_rng(0)
    patient = random.normal(0, 0.1, (RUNS, 2, PATIENTS, 1))
    return TRUE_MEAN + patient + random.normal(0, 0.02, (RUNS, 2, PATIENTS, SESSIONS))


def rows_of(values, level="scan") -> pandas.DataFrame:
    """Rows of one run (approaches, patients, sessions) as ``metrics.tsv`` has them."""
    made = [
        ["ms", name, 0, "test", level, f"{patient:02}", f"sub-{patient:02}_ses-{session}", "none",
         "auprc", value]
        for name, of_approach in zip(("vae", "ae"), values)
        for patient, sessions in enumerate(of_approach)
        for session, value in enumerate(sessions)
    ]  # fmt: skip
    return pandas.DataFrame(made, columns=COLUMNS)


def averaged(values) -> pandas.DataFrame:
    """Rows per scan and per patient."""
    scans = rows_of(values)
    return pandas.concat([scans, over_scans(scans).assign(level="subject")], ignore_index=True)


@pytest.fixture(scope="module")
def patients(runs):
    """(runs, approaches, patients): what statistics see, made by the library's own averaging."""
    shape = runs.shape
    table = rows_of(np.moveaxis(runs, 0, 1).reshape(2, RUNS * PATIENTS, SESSIONS))
    means = over_scans(table)["value"].to_numpy().reshape(2, RUNS, PATIENTS)
    np.testing.assert_allclose(np.moveaxis(means, 0, 1), runs.mean(axis=3))
    assert shape == (RUNS, 2, PATIENTS, SESSIONS)
    return np.moveaxis(means, 0, 1)


def test_without_a_difference_p_is_as_small_as_it_says_and_not_more_often(runs, patients):
    p = np.array([paired_test(first, second) for first, second in patients])
    # All p values that five patients can end with below 1/2.
    for level in (2 / 32, 4 / 32, 6 / 32, 10 / 32, 14 / 32):
        assert (p <= level + 1e-9).mean() == pytest.approx(level, abs=0.04)
    assert not (p < 0.05).any()
    # Sessions taken for patients find a difference in a third of the runs.
    flat = runs.reshape(RUNS, 2, PATIENTS * SESSIONS)
    wrong = np.array([paired_test(first, second) for first, second in flat[:200]])
    assert (wrong < 0.05).mean() > 0.25


def test_intervals_cover_the_true_mean_as_far_as_a_bootstrap_of_five_patients_can(runs, patients):
    def coverage(values):
        limits = [bootstrap_interval(one, samples=1000) for one in values]
        return np.mean([low <= TRUE_MEAN <= high for low, high in limits])

    # Five values: the spread of a bootstrap is too small by sqrt(4/5) and has no tails of Student's
    # distribution, so about 83 % of nominal 95 %.
    assert 0.78 < coverage(patients[:, 0]) < 0.90
    assert coverage(runs[:, 0].reshape(RUNS, -1)[:200]) < 0.65


def test_sessions_give_the_same_statistics_as_their_average(runs):
    once = rows_of(runs[0].mean(axis=2, keepdims=True), level="subject")
    several = averaged(runs[0])
    found = [
        (study.comparisons(table, "ms", "best_dice"), study.patient_statistics(table, "ms", ""))
        for table in (once, several)
    ]
    for expected, got in zip(*found):
        pandas.testing.assert_frame_equal(expected, got)
    assert set(found[1][1]["patients"]) == {PATIENTS}


def test_a_patient_with_many_scans_weighs_no_more_than_one_with_few(runs):
    values = runs[0]
    table = averaged(values)
    dropped = table["scan"].isin([f"sub-00_ses-{session}" for session in (1, 2, 3)])
    scans = table[(table["level"] == "scan") & ~dropped]
    table = over_scans(scans).assign(level="subject")
    found = study.patient_statistics(table, "ms", "").set_index("approach")
    expected = np.mean([values[0, 0, 0], *values[0, 1:].mean(axis=1)])
    assert found.loc["vae", "mean"] == pytest.approx(expected)
