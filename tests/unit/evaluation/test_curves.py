"""Areas under curves equal scikit-learn's on the same scores to 1e-4."""

import numpy as np
import pytest
from sklearn import metrics

from normscan.evaluation.curves import auprc, auroc, missing_class, rates, thinned
from normscan.postprocessing.histograms import ScoreHistogram


def smooth(generator, lesion):
    return generator.gamma(1, 0.1, len(lesion)) + 0.15 * lesion


def with_many_zeros(generator, lesion):
    return smooth(generator, lesion) * (generator.random(len(lesion)) < 0.3 + 0.4 * lesion)


def with_ties(generator, lesion):
    return np.round(smooth(generator, lesion), 1)


def over_many_magnitudes(generator, lesion):
    return 10.0 ** (generator.normal(-3, 1, len(lesion)) + lesion)


def perfect(generator, lesion):
    return generator.random(len(lesion)) + lesion


def constant(generator, lesion):
    return np.full(len(lesion), 0.25)


KINDS = [smooth, with_many_zeros, with_ties, over_many_magnitudes, perfect, constant]


def voxels(kind, prevalence, count=60_000, seed=0):
    generator = np.random.default_rng(seed)
    lesion = generator.random(count) < prevalence
    lesion[0] = True
    return kind(generator, lesion).astype(np.float32), lesion


def histogram(score, lesion):
    return ScoreHistogram.of(score, lesion, np.ones(score.shape, bool))


@pytest.mark.parametrize("prevalence", [0.3, 0.01, 0.0001])
@pytest.mark.parametrize("kind", KINDS)
def test_areas_equal_scikit_learn(kind, prevalence):
    score, lesion = voxels(kind, prevalence)
    counts = histogram(score, lesion)
    expected = metrics.roc_auc_score(lesion, score)
    assert auroc(counts) == pytest.approx(expected, abs=1e-4)
    expected = metrics.average_precision_score(lesion, score)
    assert auprc(counts) == pytest.approx(expected, abs=1e-4)


def test_areas_of_merged_scans_are_those_of_all_their_voxels():
    scans = [voxels(smooth, 0.02, 5000, seed) for seed in range(4)]
    merged = histogram(*scans[0])
    for scan in scans[1:]:
        merged = merged + histogram(*scan)
    score, lesion = (np.concatenate(arrays) for arrays in zip(*scans))
    expected = metrics.average_precision_score(lesion, score)
    assert auprc(merged) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("share, name", [(0, "lesion"), (1, "normal")])
def test_one_class_alone_has_no_area_and_the_reason_is_told(share, name):
    score = np.random.default_rng(0).random(100).astype(np.float32)
    counts = histogram(score, np.full(100, bool(share)))
    assert np.isnan(auroc(counts)) and np.isnan(auprc(counts))
    assert missing_class(counts) == f"no {name} voxels"


def test_both_classes_miss_nothing():
    assert missing_class(histogram(*voxels(smooth, 0.1))) == ""


def test_rates_equal_scikit_learn_at_scores_that_lie_apart():
    score, lesion = voxels(with_ties, 0.1)
    false, recall, precision = rates(histogram(score, lesion))
    fpr, tpr, _ = metrics.roc_curve(lesion, score, drop_intermediate=False)
    np.testing.assert_allclose(false, fpr[1:])
    np.testing.assert_allclose(recall, tpr[1:])
    expected, _, _ = metrics.precision_recall_curve(lesion, score)
    np.testing.assert_allclose(precision[::-1], expected[:-1])


def test_thinned_curves_are_points_of_the_full_ones_with_both_ends():
    counts = histogram(*voxels(smooth, 0.01))
    few = thinned(counts, points=100)
    full = np.stack(rates(counts), axis=1)
    kept = np.stack([few["fpr"], few["recall"], few["precision"]], axis=1)
    assert 30 < len(kept) <= 100 < len(full)
    distance = np.abs(kept[:, None] - full).max(axis=2).min(axis=1)
    assert distance.max() < 1e-5
    np.testing.assert_allclose(kept[[0, -1]], full[[0, -1]], atol=1e-5)
    # Enough of the curve is left to see its area.
    area = np.trapezoid(np.r_[0, few["recall"]], np.r_[0, few["fpr"]])
    assert area == pytest.approx(auroc(counts), abs=5e-3)


def test_no_voxels_have_no_curve():
    nothing = histogram(np.zeros(0, np.float32), np.zeros(0, bool))
    assert thinned(nothing) == {"fpr": [], "recall": [], "precision": []}
