"""The table of what was measured per patient."""

import pandas
import pytest

from normscan.report.statistics import class_table, patient_table

NAN = float("nan")


@pytest.fixture
def patients():
    columns = ["cohort", "approach", "metric", "patients", "mean", "low", "high", "seeds_std"]
    rows = [
        ["ms", "VAE", "auprc", 5, 0.41, 0.3, 0.52, 0.02],
        ["ms", "VAE", "dice", 5, NAN, NAN, NAN, NAN],
        ["ms", "intensity", "auprc", 5, 0.61, NAN, NAN, NAN],
        ["ms", "intensity", "dice", 5, 0.5, 0.4, 0.6, NAN],
    ]
    return pandas.DataFrame(rows, columns=columns)


@pytest.fixture
def tests():
    columns = ["metric", "first", "second", "patients", "difference", "low", "high", "p", "p_holm"]
    rows = [
        ["auprc", "VAE", "intensity", 5, -0.2, -0.3, -0.1, 0.01, 0.03],
        ["dice", "VAE", "intensity", 5, -0.1, -0.25, 0.05, 0.2, 0.4],
    ]
    return pandas.DataFrame(rows, columns=columns)


def test_best_first_with_interval_and_spread(patients, tests):
    table = patient_table(patients, tests, "intensity").set_index("approach")
    assert list(table.index) == ["intensity", "VAE"]
    assert table.loc["VAE", "AUPRC per patient"] == "0.410 [0.300, 0.520], seeds ±\xa00.020"
    assert table.loc["intensity", "AUPRC per patient"] == "0.610"
    assert table.loc["VAE", "Dice"] == "n/a"


def test_the_test_against_the_baseline_has_its_sign_and_corrected_p(patients, tests):
    column = "difference of AUPRC to the baseline"
    table = patient_table(patients, tests, "intensity").set_index("approach")
    assert table.loc["intensity", column] == "baseline"
    assert table.loc["VAE", column] == "−0.200 [−0.300, −0.100] (p\xa0=\xa00.03)"
    dice = table.loc["VAE", "difference of Dice to the baseline"]
    assert dice == "−0.100 [−0.250, +0.050] (p\xa0=\xa00.4)"
    turned = tests.rename(columns={"first": "second", "second": "first"})
    turned = patient_table(patients, turned, "intensity").set_index("approach")
    assert turned.loc["VAE", column].startswith("+0.200 [+0.100, +0.300]")
    assert column not in patient_table(patients, tests)


def test_classes_are_rows_and_oracles_are_named():
    columns = ["cohort", "class", "approach", "metric", "threshold_rule", "mean", "std", "patients"]
    rows = [
        ["x", name, approach, metric, rule, 0.5, 0.25, 3.0]
        for name in ("cavity", "tumour")
        for approach in ("VAE", "IntroVAE")
        for metric, rule in (("auroc", "none"), ("f1", "oracle"))
    ]
    table = class_table(pandas.DataFrame(rows, columns=columns))
    assert list(table.columns) == ["class", "approach", "patients", "AUROC", "F1 (oracle)"]
    assert list(zip(table["class"], table["approach"])) == [
        ("cavity", "VAE"), ("cavity", "IntroVAE"), ("tumour", "VAE"), ("tumour", "IntroVAE"),
    ]  # fmt: skip
    assert set(table["F1 (oracle)"]) == {"0.500 ±\xa00.250"} and set(table["patients"]) == {"3"}
