"""Detections on all voxels together, against scikit-learn."""

import numpy as np
import pandas
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from normscan.evaluation.cohort import split_rows
from normscan.evaluation.pooled import operating_points, pooled_scores
from normscan.evaluation.residuals import Residuals
from normscan.postprocessing.histograms import ScoreHistogram
from normscan.postprocessing.thresholds import best_dice


def voxels(seed, count=4000):
    random = np.random.default_rng(seed)
    lesion = random.random(count) < 0.1
    return (random.random(count) + 0.4 * lesion).astype(np.float32), lesion


def histogram(score, lesion):
    return ScoreHistogram.of(score, lesion, np.ones(len(score), bool))


def test_scores_equal_those_of_scikit_learn_at_the_threshold_of_the_validation_patients():
    _, threshold = best_dice(histogram(*voxels(0)))
    score, lesion = voxels(1)
    found = pooled_scores(histogram(score, lesion), threshold)
    detected = score > threshold
    expected = {
        "dice": f1_score(lesion, detected),
        "precision": precision_score(lesion, detected),
        "recall": recall_score(lesion, detected),
    }
    assert found == pytest.approx(expected)


def test_what_is_undefined_is_missing():
    score, lesion = voxels(0)
    found = pooled_scores(histogram(score, np.zeros_like(lesion)), 10)
    assert np.isnan(list(found.values())).all()
    found = pooled_scores(histogram(score, lesion), 10)
    assert np.isnan(found["precision"]) and (found["dice"], found["recall"]) == (0, 0)


def test_rules_without_one_threshold_have_no_rows_and_oracles_are_marked():
    rows = operating_points(
        histogram(*voxels(0)), {"best_dice": 0.9, "fpr": 0.8, "otsu": None}, ["best_dice"]
    )
    assert {(rule, metric) for rule, metric, _ in rows} == {
        (rule, metric)
        for rule in ("oracle:best_dice", "fpr")
        for metric in ("dice", "precision", "recall")
    }


def test_pooled_scores_are_of_all_scans_and_no_means_over_patients():
    histograms, residuals, parts = {}, {}, []
    for n, scan in enumerate(("sub-1", "sub-2")):
        score, lesion = voxels(n, 500 * (n + 1) ** 2)
        parts.append((score, lesion))
        histograms[scan] = histogram(score, lesion)
        residuals[scan] = (Residuals.of(score[~lesion]), Residuals.of(score[lesion]))
    scores = pandas.DataFrame(columns=["scan", "threshold_rule", "metric", "value"])
    subjects = {"sub-1": "1", "sub-2": "2"}
    table = split_rows(
        subjects, histograms, residuals, scores, residual=False, thresholds={"fpr": 0.9}
    )
    own = table[(table["level"] == "cohort") & (table["threshold_rule"] == "fpr")]
    score, lesion = (np.concatenate(both) for both in zip(*parts))
    expected = pooled_scores(histogram(score, lesion), 0.9)
    assert dict(zip(own["metric"], own["value"])) == pytest.approx(expected)
