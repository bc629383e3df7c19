"""Conformal thresholds: what is promised holds for subjects that were not seen."""

import numpy as np
import pytest

from normscan.postprocessing.conformal import conformal_threshold, fewest_subjects, left_out
from normscan.postprocessing.histograms import BINS, ScoreHistogram, save_histograms, score_bins
from normscan.postprocessing.pooling import (
    by_subject,
    operating_points,
    promised,
    same_prior,
)

VOXELS = 400


def scores(generator, subjects):
    """Scores of subjects who differ: each has a scale of its own."""
    scale = np.exp(0.4 * generator.standard_normal((subjects, 1)))
    return (scale * generator.gamma(2, 0.1, (subjects, VOXELS))).astype(np.float32)


def counts(score):
    return np.stack([np.bincount(score_bins(one), minlength=BINS) for one in score])


@pytest.mark.parametrize(("rate", "exceeding"), [(0.1, None), (0.2, None), (0.1, 0.2), (0.05, 0.3)])
def test_the_promise_is_kept_on_average_over_draws_and_not_by_much_more(rate, exceeding):
    generator, realised = np.random.default_rng(0), []
    for _ in range(60):
        threshold = conformal_threshold(counts(scores(generator, 19)), rate, exceeding)
        shares = (scores(generator, 60) > threshold).mean(axis=1)
        realised.append(shares.mean() if exceeding is None else (shares > rate).mean())
    promise = rate if exceeding is None else exceeding
    error = np.std(realised) / np.sqrt(len(realised))
    assert np.mean(realised) < promise + 2 * error
    assert np.mean(realised) > 0.4 * promise, "a threshold that nothing exceeds would keep it, too"


def test_pooled_voxels_promise_nothing_for_the_next_scan():
    """At their limit more than three times as many subjects exceed it as was promised."""
    generator, above = np.random.default_rng(1), []
    for _ in range(40):
        seen, new = scores(generator, 19), scores(generator, 60)
        pooled = np.quantile(seen, 0.9)
        safe = conformal_threshold(counts(seen), 0.1, 0.1)
        above.append([((new > one).mean(axis=1) > 0.1).mean() for one in (pooled, safe)])
    naive, conformal = np.mean(above, axis=0)
    assert naive > 0.3 and conformal < 0.13


@pytest.mark.parametrize(
    ("rate", "exceeding", "needed"),
    [(0.05, None, 19), (0.01, None, 99), (0.5, None, 1), (0.05, 0.1, 9), (0.3, None, 3)],
)
def test_too_few_subjects_promise_nothing(rate, exceeding, needed):
    assert fewest_subjects(rate, exceeding) == needed
    generator = np.random.default_rng(0)
    enough = counts(scores(generator, needed))
    assert conformal_threshold(enough, rate, exceeding) is not None
    assert conformal_threshold(enough[1:], rate, exceeding) is None
    assert np.isnan(left_out(enough, rate, exceeding))


def test_left_out_is_what_leaving_each_out_gives():
    seen = scores(np.random.default_rng(2), 12)
    for exceeding in (None, 0.2):
        found = []
        for one in range(12):
            others = counts(np.delete(seen, one, axis=0))
            share = (seen[one] > conformal_threshold(others, 0.2, exceeding)).mean()
            found.append(share if exceeding is None else share > 0.2)
        assert left_out(counts(seen), 0.2, exceeding) == pytest.approx(np.mean(found), abs=1e-6)


def test_records_say_what_is_promised_on_how_many_and_why_there_is_none():
    seen = counts(scores(np.random.default_rng(3), 6))
    record = promised(seen, 0.25, None)
    assert (record["promised"], record["subjects"]) == (0.25, 6)
    assert record["threshold"] > 0 and 0 < record["realised"] < 0.5
    assert promised(seen, 0.05, None)["reason"] == (
        "6 healthy validation subject(s) cannot promise 0.05 for the next one; at least 19 are "
        "needed"
    )


def test_sessions_of_one_subject_are_one_draw(tmp_path):
    generator = np.random.default_rng(4)
    made = scores(generator, 4)
    nothing, everything = np.zeros(VOXELS, bool), np.ones(VOXELS, bool)
    scans = {
        name: ScoreHistogram.of(one, nothing, everything)
        for name, one in zip(("a1", "a2", "b1", "c1"), made)
    }
    path = tmp_path / "00.npz"
    about = {"cohort": np.array("ixi"), "prior": np.array("none")}
    save_histograms(path, scans, **about)
    subjects = {"ixi": {"a1": "a", "a2": "a", "b1": "b"}}
    found = by_subject([str(path)], subjects, ["ixi"], "none")
    assert found.sum(axis=1).tolist() == [2 * VOXELS, VOXELS]
    assert not len(by_subject([str(path)], subjects, ["ixi"], "hyperintense"))


def test_an_operating_point_keeps_its_promise_on_the_scans_it_was_found_on():
    seen = scores(np.random.default_rng(5), 9)
    healthy = ScoreHistogram(counts(seen).sum(axis=0), np.zeros(BINS, np.int64))
    rule = {"label": "c", "kind": "conformal", "settings": {"rate": 0.2, "exceeding": None}}
    points = operating_points([rule], healthy, ["ixi"], [], {}, healthy_subjects=counts(seen))
    assert points["c"]["healthy_false_positive_rate"] < 0.2
    assert points["c"]["reason"] == "" and points["c"]["cohorts"] == ["ixi"]
    (none,) = operating_points([rule], None, ["ixi"], [], {}).values()
    assert (none["threshold"], none["reason"]) == (None, "no healthy scans")


def test_the_best_threshold_on_synthetic_scans_and_why_there_is_none(tmp_path):
    generator = np.random.default_rng(6)
    lesion = generator.random(VOXELS) < 0.2
    score = (generator.random(VOXELS) + lesion).astype(np.float32)
    path = tmp_path / "00.npz"
    about = {"cohort": np.array("pasted"), "prior": np.array("none")}
    save_histograms(path, {"s": ScoreHistogram.of(score, lesion, lesion | True)}, **about)
    rule = {"label": "r", "kind": "best_synthetic", "settings": {"cohorts": ["pasted"]}}
    (found,) = operating_points([rule], None, [], [str(path)], {"pasted": {"s"}}).values()
    detected = score > found["threshold"]
    assert 2 * (detected & lesion).sum() / (detected.sum() + lesion.sum()) > 0.9
    (none,) = operating_points([rule], None, [], [str(path)], {"pasted": set()}).values()
    assert none["reason"] == "no validation scans of synthetic cohorts"


def test_cohorts_of_a_prior_speak_for_it_and_all_where_there_is_none():
    priors = {"bright": "hyperintense", "dark": "hypointense", "any": "none"}
    assert same_prior(list(priors), priors, "hyperintense") == ["bright"]
    assert same_prior(["bright", "dark"], priors, "none") == ["bright", "dark"]
