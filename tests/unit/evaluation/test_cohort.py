"""What one approach reaches on one split: levels, subjects with several scans, marks."""

import numpy as np
import pandas
import pytest

from normscan.evaluation.cohort import ROW, split_curves, split_rows
from normscan.evaluation.curves import auprc
from normscan.evaluation.residuals import Residuals
from normscan.postprocessing.histograms import ScoreHistogram

SUBJECT_OF = {"sub-01_ses-1": "01", "sub-01_ses-2": "01", "sub-02": "02"}
DICE = {"sub-01_ses-1": 0.2, "sub-01_ses-2": 0.4, "sub-02": 0.9, "sub-09": 0.0}


@pytest.fixture
def counted():
    """Score histograms and residuals of three scans, from random voxels."""
    random = np.random.default_rng(0)
    histograms, residuals = {}, {}
    for scan in SUBJECT_OF:
        lesion = random.random(500) < 0.2
        score = (random.random(500) + lesion * random.random()).astype(np.float32)
        histograms[scan] = ScoreHistogram.of(score, lesion, np.ones(500, bool))
        residuals[scan] = (Residuals.of(score[~lesion]), Residuals.of(score[lesion]))
    return histograms, residuals


@pytest.fixture
def scores():
    """Dice of two rules; one scan belongs to another split."""
    rows = [[scan, rule, "dice", v] for scan, v in DICE.items() for rule in ("best_dice", "fpr")]
    return pandas.DataFrame(rows, columns=["scan", "threshold_rule", "metric", "value"])


def of(table, level, metric, rule="none"):
    rows = table[(table["level"] == level) & (table["metric"] == metric)]
    rows = rows[rows["threshold_rule"] == rule]
    key = {"cohort": "level", "subject": "subject", "scan": "scan"}[level]
    return dict(zip(rows[key], rows["value"]))


def test_every_level_has_its_rows_and_subjects_are_means_of_their_scans(counted, scores):
    table = split_rows(SUBJECT_OF, *counted, scores, residual=True)
    assert list(table.columns) == ROW
    areas = {scan: auprc(histogram) for scan, histogram in counted[0].items()}
    assert of(table, "scan", "auprc") == pytest.approx(areas)
    first = (areas["sub-01_ses-1"] + areas["sub-01_ses-2"]) / 2
    assert of(table, "subject", "auprc") == pytest.approx({"01": first, "02": areas["sub-02"]})
    pooled = sum(list(counted[0].values())[1:], next(iter(counted[0].values())))
    assert of(table, "cohort", "auprc") == pytest.approx({"cohort": auprc(pooled)})
    # Patients are averaged: 0.3 and 0.9, not three scans.
    assert of(table, "subject", "dice", "fpr") == pytest.approx({"01": 0.3, "02": 0.9})
    assert of(table, "cohort", "dice_mean", "fpr") == pytest.approx({"cohort": 0.6})
    assert of(table, "cohort", "dice_std", "fpr") == pytest.approx({"cohort": 0.3})
    scans = table[table["level"] == "scan"]
    assert dict(zip(scans["scan"], scans["subject"])) == SUBJECT_OF
    assert table.loc[table["level"] != "scan", "scan"].isna().all()
    assert table.loc[table["level"] == "cohort", "subject"].isna().all()


def test_rules_that_chose_their_threshold_here_are_marked_at_every_level(counted, scores):
    table = split_rows(SUBJECT_OF, *counted, scores, residual=True, chosen_here=["best_dice"])
    assert set(table["threshold_rule"]) == {"none", "oracle", "oracle:best_dice", "fpr"}
    whole = of(table, "cohort", "dice_mean", "oracle:best_dice")
    assert whole == pytest.approx({"cohort": 0.6})


def test_without_residuals_or_operating_points_the_rest_is_there(counted, scores):
    table = split_rows(SUBJECT_OF, *counted, scores.iloc[:0], residual=False)
    assert set(table["level"]) == {"cohort", "subject", "scan"}
    assert set(table["metric"]) == {
        "auprc", "auroc", "best_dice", "best_dice_threshold", "chi_square",
        "youden_dice", "youden_dice_mean", "youden_dice_std", "youden_fnr", "youden_fpr",
        "youden_threshold",
    }  # fmt: skip


def test_the_optimistic_threshold_is_one_for_all_and_an_oracle(counted, scores):
    """DSC_AUC of You et al.: Youden's point of all voxels together, Dice of each subject there."""
    histograms, residuals = counted
    table = split_rows(SUBJECT_OF, histograms, residuals, scores, residual=True)
    found = table[table["metric"].str.startswith("youden")]
    assert set(found["threshold_rule"]) == {"oracle"}
    threshold = of(table, "cohort", "youden_threshold", "oracle")["cohort"]
    random, values, rates = np.random.default_rng(0), {}, []
    for scan in SUBJECT_OF:
        lesion = random.random(500) < 0.2
        score = (random.random(500) + lesion * random.random()).astype(np.float32)
        above = score > threshold
        values[scan] = 2 * (above & lesion).sum() / (above.sum() + lesion.sum())
        rates.append(
            [(above & ~lesion).sum(), (~lesion).sum(), (lesion & ~above).sum(), lesion.sum()]
        )
    assert of(table, "scan", "youden_dice", "oracle") == pytest.approx(values)
    mean = ((values["sub-01_ses-1"] + values["sub-01_ses-2"]) / 2 + values["sub-02"]) / 2
    assert of(table, "cohort", "youden_dice_mean", "oracle")["cohort"] == pytest.approx(mean)
    false, normal, missed, lesions = np.sum(rates, axis=0)
    for name, rate in (("youden_fpr", false / normal), ("youden_fnr", missed / lesions)):
        assert of(table, "cohort", name, "oracle")["cohort"] == pytest.approx(rate)


def test_curves_are_of_all_voxels_of_the_chosen_scans(counted):
    froc = pandas.DataFrame(
        [[scan, 1.0, 2, 1, 3] for scan in DICE],
        columns=["scan", "threshold", "lesions", "found", "false_positives"],
    )
    curves = split_curves(["sub-02"], *counted, froc)
    assert curves["auprc"] == pytest.approx(auprc(counted[0]["sub-02"]))
    assert curves["froc"]["false_positives"] == [3.0] and curves["froc"]["recall"] == [0.5]
    assert len(curves["edges"]) == len(curves["normal"]) + 1
