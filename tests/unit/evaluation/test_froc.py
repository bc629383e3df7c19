"""FROC against counting by hand."""

import numpy as np
import pandas
import pytest

from normscan.evaluation.froc import COLUMNS, froc_counts, froc_curve, froc_thresholds
from normscan.postprocessing.histograms import ScoreHistogram


def volume(*boxes):
    """Boxes (x, size, value) along the first axis of an empty volume."""
    made = np.zeros((40, 8, 8), np.float32)
    for x, size, value in boxes:
        made[x : x + size, 2 : 2 + size, 2 : 2 + size] = value
    return made


def test_lesions_and_false_alarms_are_counted_at_every_threshold():
    lesion = volume((2, 3, 1), (20, 3, 1)) > 0
    # One lesion bright, one faint, a bright and a faint false alarm, and a speck.
    score = volume((2, 3, 9), (20, 3, 3), (10, 3, 6), (30, 3, 2), (37, 1, 9))
    rows = froc_counts(score, lesion, [8, 5, 2.5, 1], minimum_voxels=8)
    assert rows == [(8, 2, 1, 0), (5, 2, 1, 1), (2.5, 2, 2, 1), (1, 2, 2, 2)]
    assert froc_counts(score, lesion, [8], minimum_voxels=1) == [(8, 2, 1, 1)]


def test_detections_on_ignored_voxels_are_no_false_alarms():
    lesion, ignored = volume((2, 3, 1)) > 0, volume((20, 3, 1)) > 0
    score = volume((2, 3, 9), (20, 3, 9), (30, 3, 9))
    assert froc_counts(score, lesion, [8], 8, ignored) == [(8, 1, 1, 1)]
    assert froc_counts(score, lesion, [8], 8) == [(8, 1, 1, 2)]


def test_scans_are_pooled():
    rows = [["a", 2.0, 4, 1, 0], ["a", 1.0, 4, 3, 6], ["b", 2.0, 0, 0, 1], ["b", 1.0, 0, 0, 2]]
    curve = froc_curve(pandas.DataFrame(rows, columns=COLUMNS))
    assert curve == {
        "threshold": [2.0, 1.0], "false_positives": [0.5, 4.0], "recall": [0.25, 0.75],
    }  # fmt: skip


def test_without_lesions_nothing_can_be_found():
    curve = froc_curve(pandas.DataFrame([["b", 2.0, 0, 0, 1]], columns=COLUMNS))
    assert curve["false_positives"] == [1.0] and np.isnan(curve["recall"][0])
    assert froc_curve(pandas.DataFrame([], columns=COLUMNS))["threshold"] == []


def test_thresholds_fall_and_are_exceeded_by_the_shares():
    score = np.random.default_rng(0).exponential(size=200_000).astype(np.float32)
    nothing, everything = np.zeros(score.shape, bool), np.ones(score.shape, bool)
    healthy = ScoreHistogram.of(score, nothing, everything)
    thresholds = froc_thresholds(healthy)
    assert thresholds == sorted(thresholds, reverse=True) and len(thresholds) == 15
    assert (score > thresholds[-1]).mean() == pytest.approx(0.1, rel=0.02)
    assert (score > thresholds[0]).mean() < 1e-4
    assert froc_thresholds(None) == []
