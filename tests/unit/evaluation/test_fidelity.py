"""Quality and overlap score of reconstructions: against scipy, scikit-learn and by hand."""

import numpy as np
import pandas
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from normscan.errors import NormscanError
from normscan.evaluation.fidelity import (
    class_overlaps,
    entropy,
    fidelity_rows,
    load_example,
    pixel_entropy,
    save_example,
    score_table,
    slice_scores,
)

NAMES = ["csf", "grey", "white"]


def probabilities(concentration=1.0, seed=0, count=3, side=9):
    drawn = np.random.default_rng(seed).dirichlet([concentration] * 4, (count, side, side))
    return np.moveaxis(drawn, -1, 1).astype(np.float32)


def certain(labels):
    """Probabilities of which one is 1."""
    return np.moveaxis(np.eye(4, dtype=np.float32)[labels], -1, 1)


def test_entropy_is_summed_over_pixels_and_classes():
    drawn = probabilities()
    np.testing.assert_allclose(entropy(drawn), stats.entropy(drawn, axis=1).sum((1, 2)), rtol=1e-5)
    undecided = np.full((2, 4, 5, 7), 0.25, np.float32)
    np.testing.assert_allclose(entropy(undecided), 35 * np.log(4), rtol=1e-6)


def test_a_certain_network_has_no_entropy():
    assert entropy(certain(np.ones((2, 5, 5), int))).tolist() == [0.0, 0.0]


def test_quality_is_below_zero_where_the_reconstruction_is_less_certain():
    sharp, vague = probabilities(0.1), probabilities(10.0, seed=1)
    quality = slice_scores(sharp, vague, NAMES)["quality_score"]
    assert (quality < 0).all()
    np.testing.assert_allclose(slice_scores(vague, sharp, NAMES)["quality_score"], -quality)
    assert not slice_scores(sharp, sharp, NAMES)["quality_score"].any()


def test_overlap_is_the_mean_dice_of_classes_of_the_input():
    given, other = probabilities(0.5), probabilities(0.5, seed=1)
    scores = slice_scores(given, other, NAMES)
    pairs = list(zip(given.argmax(1), other.argmax(1)))
    expected = np.array(
        [f1_score(a.ravel(), b.ravel(), labels=[1, 2, 3], average=None) for a, b in pairs]
    )
    for place, name in enumerate(NAMES):
        np.testing.assert_allclose(scores[f"overlap_score_{name}"], expected[:, place])
    np.testing.assert_allclose(scores["overlap_score"], expected.mean(axis=1))


def test_classes_that_are_not_in_the_input_do_not_count():
    given, other = np.zeros((2, 4, 4), int), np.zeros((2, 4, 4), int)
    given[0, :2], other[0, :1], other[0, 3] = 1, 1, 2  # Class 2 is the reconstruction's alone.
    found = class_overlaps(given, other, 3)
    np.testing.assert_array_equal(found, [[2 / 3, np.nan, np.nan], [np.nan] * 3])
    scores = slice_scores(certain(given), certain(other), NAMES)
    np.testing.assert_allclose(scores["overlap_score"], [2 / 3, np.nan])
    # A class that the reconstruction has lost does: with 0.
    assert class_overlaps(given[:1], np.zeros((1, 4, 4), int), 3)[0, 0] == 0


def test_means_are_taken_over_slices_then_scans_then_subjects():
    values = {"sub-1_ses-1": [1.0, 3.0], "sub-1_ses-2": [4.0, np.nan], "sub-2": [9.0, 11.0]}
    table = pandas.concat(
        score_table(scan, [4, 5], {"quality_score": np.array(own)}) for scan, own in values.items()
    )
    subject_of = {"sub-1_ses-1": "1", "sub-1_ses-2": "1", "sub-2": "2", "sub-3": "3"}
    rows = fidelity_rows(table, subject_of)
    by_level = {level: own["value"].tolist() for level, own in rows.groupby("level")}
    assert by_level["scan"] == [2.0, 4.0, 10.0]
    assert by_level["subject"] == [3.0, 10.0]
    cohort = rows[rows["level"] == "cohort"].set_index("metric")["value"]
    assert cohort["quality_score_mean"] == pytest.approx(6.5)
    assert cohort["quality_score_std"] == pytest.approx(np.std([3, 10]))
    assert set(rows["threshold_rule"]) == {"none"}


def test_scans_of_other_splits_are_in_no_row():
    table = score_table("sub-1", [0], {"quality_score": np.array([1.0])})
    assert not len(fidelity_rows(table, {"sub-2": "2"}))


def test_an_example_comes_back_as_it_was_seen(tmp_path):
    likely, path = probabilities(count=2), tmp_path / "one.npz"
    images = {"input": np.ones((9, 9), np.float32), "VAE, 10 %": np.zeros((9, 9), np.float32)}
    save_example(path, "sub-1", 7, images, likely, NAMES)
    found = load_example(path)
    assert (found["titles"], found["classes"]) == (list(images), NAMES)
    assert (found["scan"], found["position"]) == ("sub-1", 7)
    np.testing.assert_allclose(found["entropy"], pixel_entropy(likely), rtol=1e-6)
    np.testing.assert_array_equal(found["labels"], likely.argmax(axis=1))
    save_example(path, "", 0, {}, [], NAMES)
    assert load_example(path)["titles"] == []
    path.write_bytes(b"none")
    with pytest.raises(NormscanError, match="cannot be read"):
        load_example(path)
