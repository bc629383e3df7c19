"""Otsu's threshold per slice and the area opening against scikit-image; records of rules."""

import numpy as np
import pytest
from skimage.filters import threshold_otsu
from skimage.morphology import area_opening as opened_by_skimage

from normscan.errors import NormscanError
from normscan.figures.labels import rule_label
from normscan.plugins import complete_settings
from normscan.postprocessing.pooling import operating_points
from normscan.postprocessing.slice_rules import (
    ALLOWED,
    PER_SLICE,
    SLICE_RULES,
    SliceRule,
    area_opening,
    binarise,
    operating_point,
    otsu,
    otsu_thresholds,
    point_record,
)
from normscan.postprocessing.thresholds import ONLY_SLICES

DEFAULTS = SLICE_RULES["otsu"]
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def scores(seed=0, shape=(24, 20, 9)):
    """Noise, blobs of their own height in each slice, nothing outside of a disc."""
    rng = np.random.default_rng(seed)
    score = np.abs(rng.normal(0, 0.05, shape)) + 0.4 * (rng.random(shape) < 0.1)
    score *= np.linspace(0.5, 2, shape[2])
    x, y = np.ogrid[: shape[0], : shape[1]]
    score[(x - 12) ** 2 + (y - 10) ** 2 > 80] = 0
    score[rng.random(shape) < 0.4] = 0
    return score.astype(np.float32)


def test_thresholds_are_those_of_skimage_for_every_slice():
    score = scores()
    slices = [score[:, :, z] for z in range(score.shape[2])]
    expected = [threshold_otsu(one) for one in slices]
    np.testing.assert_array_equal(otsu_thresholds(score), expected)
    assert len(set(expected)) == score.shape[2]
    positive = [threshold_otsu(one[one > 0]) for one in slices]
    np.testing.assert_array_equal(otsu_thresholds(score, positive=True), positive)


def test_no_other_cut_has_a_larger_variance_between_its_classes():
    values = scores()[:, :, 3].ravel().astype(float)
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2

    def variance(cut):
        low, high = centres <= cut, centres > cut
        below, above = counts[low].sum(), counts[high].sum()
        means = [(counts * centres)[side].sum() / counts[side].sum() for side in (low, high)]
        return below * above * (means[0] - means[1]) ** 2

    best = max(variance(cut) for cut in centres[:-1])
    assert variance(otsu_thresholds(scores())[3] + 1e-6) == pytest.approx(best)


def test_slices_of_one_value_detect_nothing():
    score = np.zeros((4, 4, 3), np.float32)
    score[..., 1] = 0.5
    score[1, 1, 2] = 0.5
    assert otsu_thresholds(score[..., :2]).tolist() == [0, 0.5]
    found = otsu(score)
    # The third slice has two values: the paper's rule splits them whatever they mean.
    assert found.sum() == found[1, 1, 2] == 1
    assert not otsu(score, population="positive").any()
    assert not otsu(score, least=0.5).any()
    assert otsu(score[..., :0]).shape == (4, 4, 0)


def test_saturated_scores_are_one_class():
    score = np.zeros((10, 10, 1), np.float32)
    score[0, :4, 0], score[1:4, :, 0] = 0.297, 1.0
    assert otsu(score).sum() == 30
    assert otsu(score, saturate=0.2).sum() == 34


@pytest.mark.parametrize("pixels", [0, 1, 2, 5, 12])
def test_opening_is_that_of_skimage_for_every_slice(pixels):
    detected = np.random.default_rng(3).random((20, 18, 7)) < 0.45
    opened = area_opening(detected, pixels)
    expected = np.stack(
        [opened_by_skimage(detected[:, :, z], pixels, connectivity=1) for z in range(7)], axis=2
    )
    np.testing.assert_array_equal(opened, expected)


def test_a_rule_per_slice_detects_as_its_parts_do_in_mm2():
    score = scores(1)
    rule = SliceRule("otsu", {**DEFAULTS, "opening": 12.0})
    expected = area_opening(otsu(score), 3)
    assert expected.any() and (expected != otsu(score)).any()
    np.testing.assert_array_equal(binarise(score, rule, AFFINE), expected)
    np.testing.assert_array_equal(binarise(score, 0.3, AFFINE), score > 0.3)


def test_records_say_what_is_detected_with():
    rules = [{"label": "otsu_x", "kind": "otsu", "settings": dict(DEFAULTS)}]
    (record,) = operating_points(rules, None, ["healthy"], [], {}).values()
    assert record["threshold"] is None and record["per"] == PER_SLICE and not record["reason"]
    # Chosen on no scans: never marked as an oracle.
    assert record["cohorts"] == []
    assert operating_point(record) == SliceRule("otsu", DEFAULTS)
    assert operating_point(point_record(record)) == SliceRule("otsu", DEFAULTS)
    assert operating_point({"threshold": 0.25}) == 0.25
    assert operating_point({"threshold": None, "reason": "no healthy scans"}) is None
    (none,) = operating_points(rules, None, [], [], {}, only_slices=True).values()
    assert operating_point(none) is None and none["reason"] == ONLY_SLICES
    with pytest.raises(NormscanError, match="unknown rule 'otsi' per slice; allowed: otsu"):
        operating_point({**record, "kind": "otsi"})


def test_settings_have_ranges_and_words():
    for name, settings in SLICE_RULES.items():
        assert set(ALLOWED[name]) == set(settings)
        assert complete_settings({}, settings, ALLOWED[name], "x")[1] == []
    (line,) = complete_settings({"opening": -1}, DEFAULTS, ALLOWED["otsu"], "otsu")[1]
    assert line == "otsu.opening: found -1; must be a number of at least 0"
    assert rule_label("otsu_slice_256_0") == (
        "Otsu's threshold of each slice, pieces below 256 mm² dropped"
    )
    assert "scores up to 0.1 never" in rule_label("otsu_positive_0_0.1_0.2")
