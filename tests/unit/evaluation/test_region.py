import numpy as np

from normscan.evaluation.region import evaluated_region, lesion_and_ignored

LABELS = np.array([0, 1, 2, 4, 0, 1])


def test_labels_that_are_not_sought_are_on_neither_side():
    lesion, ignored = lesion_and_ignored(LABELS, [1])
    assert lesion.tolist() == [False, True, False, False, False, True]
    assert ignored.tolist() == [False, False, True, True, False, False]


def test_without_a_choice_every_label_is_a_lesion():
    lesion, ignored = lesion_and_ignored(LABELS, [])
    assert lesion.tolist() == (LABELS > 0).tolist() and not ignored.any()
    assert not lesion_and_ignored(LABELS, [0, 4])[0][LABELS == 0].any()


def test_the_region_is_brain_and_lesions_without_what_is_ignored():
    brain = np.array([True, True, True, False, False, False])
    region = evaluated_region(brain, *lesion_and_ignored(LABELS, [1]))
    assert region.tolist() == [True, True, False, False, False, True]
