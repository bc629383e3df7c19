"""Golden-section search of thresholds: equal to the exact rule, whatever the scores."""

import numpy as np
import pytest
from scipy.optimize import golden

from normscan.postprocessing.golden_section import golden_section, smallest_within
from normscan.postprocessing.histograms import BINS, ScoreHistogram
from normscan.postprocessing.pooling import operating_points
from normscan.postprocessing.thresholds import TOLERANCE, find_threshold, limit_note


def histogram(score):
    score = np.asarray(score, np.float32)
    return ScoreHistogram.of(score, np.zeros(score.shape, bool), np.ones(score.shape, bool))


SCORES = {
    "smooth": np.random.default_rng(0).gamma(2, 0.1, 20000),
    "far outlier": np.r_[np.random.default_rng(1).gamma(2, 0.1, 20000), 3000.0],
    "few values": np.random.default_rng(2).choice([0, 0.1, 0.3, 0.31, 0.9], 5000),
    "ranks": np.arange(1, 1001) / 1000,
    "one value": np.full(100, 0.25),
    "nothing": np.zeros(100),
    "beyond the bins": np.r_[np.linspace(0, 1, 100), 1e7],
}


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05, 0.1, 0.5, 1.0])
def test_the_search_finds_the_exact_threshold(name, rate):
    counts = histogram(SCORES[name])
    exact = find_threshold("healthy_fpr", counts, rate=rate)
    found = find_threshold("healthy_fpr", counts, rate=rate, search="golden_section")
    assert counts.exceeding(found) <= rate + 1e-9
    largest = min(float(SCORES[name].max()), 8192.0)
    if exact < 1e6:
        # Within the tolerance, and one bin.
        assert abs(found - exact) <= TOLERANCE * largest + 1e-3 * exact
    if name in ("smooth", "few values", "ranks"):
        assert found == pytest.approx(exact, rel=1e-3)


def test_a_minimum_is_bracketed_as_scipy_finds_it():
    low, high = golden_section(lambda x: (0, (x - 0.7) ** 2), 0.0, 3.0, 1e-6)
    best = golden(lambda x: (x - 0.7) ** 2, brack=(0, 1, 3), tol=1e-9)
    assert low - 1e-6 <= best <= high + 1e-6 and high - low <= 1e-6


def test_it_takes_as_many_looks_as_the_golden_ratio_says():
    looks = []

    def rate(threshold):
        looks.append(threshold)
        return float(threshold < 0.3)

    found = smallest_within(rate, 0.5, 1.0, 1e-6)
    assert 0.3 <= found <= 0.3 + 1e-6
    assert len(looks) <= 3 + np.ceil(np.log(1e-6) / np.log(0.618))


@pytest.mark.parametrize(
    ("score", "rate", "words"),
    [
        (SCORES["one value"], 0.05, "limit 0.05 cannot be met: 1 of the healthy voxels share"),
        (np.r_[np.zeros(900), np.ones(100)], 0.05, "0.1 of the healthy voxels share the score 1"),
        (SCORES["nothing"] + 1, 0.001, "100 healthy voxels are too few for a limit of 0.001"),
        (SCORES["nothing"], 0.05, "only 0 of the healthy voxels have any score, all within 0.05"),
    ],
)
def test_limits_that_cannot_be_met_are_said_with_their_value(score, rate, words):
    counts = histogram(score)
    threshold = find_threshold("healthy_fpr", counts, rate=rate)
    note = limit_note("healthy_fpr", counts, threshold, rate=rate)
    assert words in note and counts.exceeding(threshold) == 0


@pytest.mark.parametrize(
    ("score", "rate"),
    [(SCORES["smooth"], 0.01), (SCORES["smooth"], 0.0), (SCORES["ranks"], 0.05)],
)
def test_nothing_is_said_of_limits_that_are_met(score, rate):
    counts = histogram(score)
    threshold = find_threshold("healthy_fpr", counts, rate=rate)
    assert limit_note("healthy_fpr", counts, threshold, rate=rate) == ""
    assert limit_note("youden", counts, threshold) == ""


def test_an_operating_point_says_of_which_approach(caplog):
    rules = [
        {"label": f"healthy_fpr_{rate}", "kind": "healthy_fpr", "settings": {"rate": rate}}
        for rate in (0.05, 1.0)
    ]
    with caplog.at_level("WARNING", logger="normscan"):
        found = operating_points(
            rules, histogram(SCORES["one value"]), ["ixi"], [], {}, approach="p/vae, seed 0"
        )
    tied, fine = found.values()
    assert "cannot be met" in tied["note"] and tied["approach"] == "p/vae, seed 0"
    assert tied["threshold"] == pytest.approx(0.25, rel=1e-3) and "note" not in fine
    assert "p/vae, seed 0: threshold rule healthy_fpr_0.05: the limit 0.05" in caplog.text


def test_the_last_bin_has_a_threshold_too():
    counts = ScoreHistogram(np.bincount([BINS - 1], minlength=BINS), np.zeros(BINS, np.int64))
    assert np.isfinite(find_threshold("healthy_fpr", counts, rate=0, search="golden_section"))
