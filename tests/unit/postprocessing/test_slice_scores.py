"""Scores of slices: which count, exact areas under curves, kept beside the histograms."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from normscan.evaluation.curves import auprc, auroc
from normscan.postprocessing.histograms import load_histograms, save_histograms
from normscan.postprocessing.slice_scores import SliceScores, load_slice_scores, slice_arrays


def made(seed, slices=60):
    """Scores of either sign, with ties."""
    random = np.random.default_rng(seed)
    anomalous = random.random(slices) < 0.3
    scores = np.round(random.normal(size=slices) + anomalous, 1)
    return scores, anomalous


def test_areas_are_those_of_scikit_learn():
    scores, anomalous = made(0)
    histogram = SliceScores.of(scores.tolist(), anomalous, np.ones(60, bool)).histogram()
    assert auroc(histogram) == pytest.approx(roc_auc_score(anomalous, scores), abs=1e-12)
    assert auprc(histogram) == pytest.approx(average_precision_score(anomalous, scores), abs=1e-12)


def test_slices_without_a_score_and_those_that_do_not_count_are_left_out():
    anomalous = np.array([True, False, False, True, False])
    counted = np.array([True, True, False, True, True])
    found = SliceScores.of([None, -3.0, 5.0, 2.0, 0.0], anomalous, counted)
    assert found.normal.tolist() == [-3, 0] and found.anomalous.tolist() == [2]


def test_without_one_of_the_classes_there_is_no_area():
    found = SliceScores(np.arange(3.0), np.zeros(0))
    assert np.isnan(auroc(found.histogram())) and np.isnan(auprc(found.histogram()))


def test_they_are_read_back_from_the_file_of_histograms(tmp_path):
    scans = {
        name: SliceScores.of(*(one for one in made(seed)), np.ones(60, bool))
        for seed, name in enumerate(("sub-2", "sub-1"))
    }
    scans["sub-3"] = SliceScores(np.zeros(0), np.array([1.0]))
    save_histograms(tmp_path / "00.npz", {}, **slice_arrays(scans))
    assert load_histograms(tmp_path / "00.npz") == {}
    found = load_slice_scores(tmp_path / "00.npz")
    assert set(found) == set(scans)
    for name, one in scans.items():
        np.testing.assert_array_equal(found[name].normal, one.normal)
        np.testing.assert_array_equal(found[name].anomalous, one.anomalous)
    both = found["sub-1"] + found["sub-2"]
    assert len(both.normal) + len(both.anomalous) == 120
    save_histograms(tmp_path / "01.npz", {}, **slice_arrays({}))
    assert load_slice_scores(tmp_path / "01.npz") == {}
