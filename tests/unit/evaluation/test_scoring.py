"""Scores of a scan: looked for where there is something, those of the whole volume."""

import numpy as np
import pytest

from normscan.evaluation.froc import froc_counts
from normscan.evaluation.scoring import occupied_box, scan_scores
from normscan.evaluation.segmentation import segmentation_scores
from normscan.postprocessing.components import drop_small

AFFINE = np.diag([2.0, 2, 3, 1])


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_whole_volumes(seed):
    random = np.random.default_rng(seed)
    inside = np.zeros((14, 12, 10), bool)
    inside[3 : 9 + seed, 2:8, 4:9] = True
    filtered = np.where(inside, random.random(inside.shape), 0).astype(np.float32)
    lesion = inside & (random.random(inside.shape) < 0.1)
    # A lesion without any score, at the very border of the volume.
    lesion[13, 11, 0] = seed % 2
    ignored = inside & ~lesion & (random.random(inside.shape) < 0.1)
    rules, froc = {"a": 0.6, "b": 0.95, "c": 0.0}, (0.9, 0.5)
    scores, counts = scan_scores(filtered, lesion, ignored, AFFINE, rules, froc, 3)
    for rule, threshold in rules.items():
        detected = drop_small(filtered > threshold, 3)
        expected = segmentation_scores(detected, lesion, AFFINE, ignored)
        found = {metric: value for label, metric, value in scores if label == rule}
        assert found == pytest.approx(expected, abs=0, nan_ok=True)
    assert counts == froc_counts(filtered, lesion, froc, 3, ignored)


def test_a_scan_without_anything_has_scores():
    nothing = np.zeros((4, 4, 4), bool)
    scores, counts = scan_scores(
        nothing.astype(np.float32), nothing, nothing, AFFINE, {"a": 0.5}, [0.5], 1
    )
    assert ("a", "dice", 1.0) in scores and counts == [(0.5, 0, 0, 0)]


def test_the_box_is_the_smallest_that_holds_all_voxels():
    mask = np.zeros((6, 7, 8), bool)
    mask[1, 5, 2] = mask[4, 3, 2] = True
    assert occupied_box(mask) == (slice(1, 5), slice(3, 6), slice(2, 3))
    assert mask[occupied_box(mask)].sum() == 2
