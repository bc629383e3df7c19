"""Threshold rules against brute force over the scores themselves."""

from pathlib import Path

import numpy as np
import pytest

from normscan import plugins
from normscan.errors import NormscanError
from normscan.postprocessing import thresholds
from normscan.postprocessing.histograms import BINS, ScoreHistogram
from normscan.postprocessing.thresholds import best_dice, find_threshold, why_none


def scores(seed=0, voxels=4000):
    generator = np.random.default_rng(seed)
    lesion = generator.random(voxels) < 0.1
    score = generator.gamma(2, 0.1, voxels) + 0.25 * lesion * generator.random(voxels)
    return np.round(score * (generator.random(voxels) < 0.8), 2).astype(np.float32), lesion


def histogram(score, lesion):
    return ScoreHistogram.of(score, lesion, np.ones(score.shape, bool))


def dice(detected, lesion):
    return 2 * (detected & lesion).sum() / (detected.sum() + lesion.sum())


def test_best_dice_is_that_of_the_best_of_all_scores():
    score, lesion = scores()
    value, threshold = best_dice(histogram(score, lesion))
    tried = np.unique(score)
    assert value == pytest.approx(max(dice(score > one, lesion) for one in tried))
    # The threshold does on the map what it promised on the histogram.
    assert dice(score > threshold, lesion) == pytest.approx(value)


def test_best_dice_finds_the_higher_of_two_maxima():
    # Few lesion voxels stand out; many more lie in a second range above most normal voxels.
    normal = np.r_[np.full(100, 0.1), np.full(60, 0.8)]
    true = np.r_[np.full(30, 0.9), np.full(5, 0.7), np.full(60, 0.3)]
    score = np.r_[normal, true].astype(np.float32)
    lesion = np.arange(len(score)) >= len(normal)
    at = {edge: dice(score > edge, lesion) for edge in (0.2, 0.5, 0.85)}
    assert at[0.5] < min(at[0.2], at[0.85])
    assert best_dice(histogram(score, lesion))[0] == pytest.approx(max(at.values()))


def test_youden_is_the_largest_distance_from_chance():
    score, lesion = scores(1)
    threshold = find_threshold("youden", histogram(score, lesion))

    def gain(one):
        return (score > one)[lesion].mean() - (score > one)[~lesion].mean()

    assert gain(threshold) == pytest.approx(max(gain(one) for one in np.unique(score)))


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05, 0.1, 0.5, 1.0])
def test_false_positive_limits_are_kept_and_the_smallest(rate):
    score, _ = scores(2)
    counts = histogram(score, np.zeros(len(score), bool))
    threshold = find_threshold("healthy_fpr", counts, rate=rate)
    assert (score > threshold).mean() <= rate + 1e-9
    lower = np.unique(score)[np.unique(score) < threshold * 0.999]
    assert all((score > one).mean() > rate for one in lower)
    assert counts.exceeding(threshold) == pytest.approx((score > threshold).mean())


def test_the_percentile_leaves_the_rest_above():
    score = np.arange(1, 101, dtype=np.float32)
    counts = histogram(score, np.zeros(100, bool))
    threshold = find_threshold("healthy_percentile", counts, percentile=98)
    assert (score > threshold).sum() == 2
    assert threshold == pytest.approx(98, rel=1e-3)
    assert threshold == find_threshold("healthy_fpr", counts, rate=0.02)


def test_rules_on_patients_say_why_they_find_nothing_without_lesions():
    score, lesion = scores()
    healthy = histogram(score, np.zeros_like(lesion))
    for rule in ("best_dice", "youden"):
        assert find_threshold(rule, healthy) is None
        assert "no lesion voxels" in why_none(rule, healthy)
    assert np.isnan(best_dice(healthy)).all()
    empty = ScoreHistogram(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64))
    assert find_threshold("healthy_fpr", empty, rate=0.01) is None
    assert why_none("healthy_fpr", empty) and not why_none("best_dice", histogram(score, lesion))


def test_wrong_settings_are_named():
    counts = histogram(*scores())
    with pytest.raises(NormscanError, match="healthy_fpr.rate: found 5"):
        find_threshold("healthy_fpr", counts, rate=5)
    with pytest.raises(NormscanError, match="percentile: found 120"):
        find_threshold("healthy_percentile", counts, percentile=120)
    with pytest.raises(NormscanError, match="'otsu'.*best_dice"):
        find_threshold("otsu", counts)


def test_the_workflow_reads_the_rules_without_importing_them():
    assert plugins.literals(Path(thresholds.__file__))["RULES"] == thresholds.RULES
