"""Bounding boxes: overlaps made by hand, matching against trying all pairings."""

from itertools import permutations

import numpy as np
import pytest

from normscan.evaluation.boxes import (
    LEAST,
    bounding_boxes,
    box_overlaps,
    box_scores,
    matched_boxes,
)
from normscan.evaluation.segmentation import segmentation_scores

AFFINE = np.eye(4)


def test_boxes_hold_their_labels():
    labels = np.zeros((6, 7, 8), int)
    labels[1:3, 2, 4:7] = 3
    labels[4, 5:7, 0] = 1
    assert bounding_boxes(labels).tolist() == [[[4, 5], [5, 7], [0, 1]], [[1, 3], [2, 3], [4, 7]]]
    assert bounding_boxes(labels[0]).shape == (0, 2, 2)


def test_overlaps_are_those_of_volumes():
    first = np.array([[[0, 4], [0, 2]], [[0, 1], [0, 1]]])
    second = np.array([[[2, 6], [0, 2]], [[0, 4], [0, 2]], [[4, 5], [2, 3]]])
    expected = [[4 / 12, 1, 0], [0, 1 / 8, 0]]
    np.testing.assert_allclose(box_overlaps(first, second), expected)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_pairing_has_more_matches_or_a_larger_sum(seed):
    overlaps = np.random.default_rng(seed).random((4, 5)) ** 4
    rows, columns = matched_boxes(overlaps)
    assert len(set(rows)) == len(rows) and len(set(columns)) == len(columns)
    assert (overlaps[rows, columns] >= LEAST).all()

    def worth(chosen):
        values = overlaps[np.arange(4), list(chosen)]
        return (values >= LEAST).sum(), values[values >= LEAST].sum()

    best = max(worth(chosen) for chosen in permutations(range(5), 4))
    assert (len(rows), overlaps[rows, columns].sum()) == pytest.approx(best)


def test_one_detection_is_matched_to_one_lesion_only():
    lesions, detections = np.zeros((12, 4, 4), int), np.zeros((12, 4, 4), int)
    lesions[0:4], lesions[6:12] = 1, 2
    detections[0:12] = 1
    scores = box_scores(detections, lesions)
    assert scores == pytest.approx({"box_precision": 1, "box_recall": 0.5, "box_iou": 0.5})


def test_a_scan_without_boxes_on_a_side_has_no_share_of_them():
    nothing, some = np.zeros((4, 4, 4), int), np.zeros((4, 4, 4), int)
    some[1:3, 1:3, 1:3] = 1
    nan = float("nan")
    for found, true, expected in (
        (nothing, some, (nan, 0, nan)), (some, nothing, (0, nan, nan)),
        (nothing, nothing, (nan, nan, nan)),
    ):  # fmt: skip
        scores = box_scores(found, true)
        assert tuple(scores.values()) == pytest.approx(expected, nan_ok=True)


def test_ignored_voxels_widen_no_box():
    lesion, detected = np.zeros((9, 4, 4), bool), np.zeros((9, 4, 4), bool)
    lesion[:4], detected[:8] = True, True
    ignored = np.zeros_like(lesion)
    assert segmentation_scores(detected, lesion, AFFINE, ignored)["box_iou"] == 0.5
    ignored[4:] = True
    assert segmentation_scores(detected, lesion, AFFINE, ignored)["box_iou"] == 1.0
    ignored[:] = ~lesion
    gone = segmentation_scores(detected & ignored, lesion, AFFINE, ignored)
    assert np.isnan(gone["box_precision"]) and gone["box_recall"] == 0
