import numpy as np
import pytest

from normscan.evaluation.segmentation import segmentation_scores

AFFINE = np.diag([-2.0, 1.0, 3.0, 1.0])


def test_scores_of_a_volume_made_by_hand():
    lesion, detected = np.zeros((10, 10, 10), bool), np.zeros((10, 10, 10), bool)
    lesion[1:3, 1:3, 1:3] = True  # 8 voxels, half of them detected
    lesion[6, 6, 6:8] = True  # 2 voxels, missed
    detected[1, 1:3, 1:3] = True
    detected[8:10, 0, 0:3] = True  # 6 voxels, false
    scores = segmentation_scores(detected, lesion, AFFINE)
    assert scores == pytest.approx(
        {
            "dice": 2 * 4 / (10 + 10),
            "precision": 0.4,
            "recall": 0.4,
            "lesion_volume_ml": 0.06,
            "detected_volume_ml": 0.06,
            "volume_error_ml": 0,
            "volume_error": 0,
            "lesions": 2,
            "detections": 2,
            "lesion_recall": 0.5,
            "false_positives": 1,
            "lesion_precision": 0.5,
            # The boxes of the first lesion and of the detection in it: 8 and 4 voxels.
            "box_precision": 0.5,
            "box_recall": 0.5,
            "box_iou": 0.5,
        }
    )


def test_dice_equals_f1_of_scikit_learn():
    from sklearn import metrics

    generator = np.random.default_rng(0)
    lesion = generator.random((8, 8, 8)) < 0.2
    detected = lesion ^ (generator.random((8, 8, 8)) < 0.1)
    scores = segmentation_scores(detected, lesion, AFFINE)
    truth, found = lesion.ravel(), detected.ravel()
    assert scores["dice"] == pytest.approx(metrics.f1_score(truth, found))
    assert scores["precision"] == pytest.approx(metrics.precision_score(truth, found))
    assert scores["recall"] == pytest.approx(metrics.recall_score(truth, found))


def test_one_detection_may_find_several_lesions():
    lesion, detected = np.zeros((9, 3, 3), bool), np.zeros((9, 3, 3), bool)
    lesion[1], lesion[4], lesion[7] = True, True, True
    detected[1:5] = True
    scores = segmentation_scores(detected, lesion, AFFINE)
    assert scores["lesions"] == 3 and scores["lesion_recall"] == pytest.approx(2 / 3)
    assert scores["detections"] == 1 and scores["false_positives"] == 0
    assert scores["volume_error"] == pytest.approx(9 / 27)


def test_empty_truth_and_empty_detection():
    nothing, some = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    some[1:3, 1:3, 1:3] = True
    both = segmentation_scores(nothing, nothing, AFFINE)
    assert both["dice"] == 1 and np.isnan(both["recall"]) and np.isnan(both["precision"])
    false = segmentation_scores(some, nothing, AFFINE)
    assert false["dice"] == 0 and false["precision"] == 0 and false["false_positives"] == 1
    assert np.isnan(false["lesion_recall"]) and np.isnan(false["volume_error"])
    missed = segmentation_scores(nothing, some, AFFINE)
    assert missed["dice"] == 0 and missed["recall"] == 0 and np.isnan(missed["precision"])
    assert missed["lesion_recall"] == 0 and missed["volume_error"] == 1


def test_ignored_voxels_count_on_neither_side():
    shape = (12, 6, 6)
    lesion, ignored, detected = (np.zeros(shape, bool) for _ in range(3))
    lesion[0:2, 0:2, 0:2] = True
    ignored[2:4, 0:2, 0:2] = True  # beside the lesion
    ignored[6:8, 4:6, 4:6] = True  # apart
    detected[0:4, 0:2, 0:2] = True  # the lesion and what is beside it
    detected[6:8, 4:6, 4:6] = True  # nothing but ignored voxels
    detected[10:12, 0:2, 0:2] = True  # a false alarm
    scores = segmentation_scores(detected, lesion, AFFINE, ignored)
    without = segmentation_scores(detected & ~ignored, lesion, AFFINE)
    assert scores == without
    assert scores["dice"] == pytest.approx(2 * 8 / (16 + 8)) and scores["precision"] == 0.5
    assert scores["detected_volume_ml"] == pytest.approx(16 * 6 / 1000)
    assert scores["volume_error"] == 1 and scores["lesion_recall"] == 1
    assert (scores["detections"], scores["false_positives"]) == (2, 1)


def test_a_detection_that_ignored_voxels_cut_in_two_counts_once():
    lesion, ignored, detected = (np.zeros((9, 3, 3), bool) for _ in range(3))
    detected[1:8] = True
    ignored[3:6] = True
    scores = segmentation_scores(detected, lesion, AFFINE, ignored)
    assert (scores["detections"], scores["false_positives"]) == (1, 1)
    lesion[7] = True
    scores = segmentation_scores(detected, lesion, AFFINE, ignored)
    assert (scores["detections"], scores["false_positives"]) == (1, 0)
