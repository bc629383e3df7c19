"""AUROC of single slices, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from normscan.evaluation.slice_areas import slice_areas

AFFINE = np.diag([2.0, 1.5, 4.0, 1.0])


@pytest.fixture
def scan():
    """(12, 10, 6): brain in the middle, lesions in slices 1 to 3 of which one is cut off brain."""
    random = np.random.default_rng(0)
    shape = (12, 10, 6)
    brain = np.zeros(shape, bool)
    brain[2:10, 2:8, :5] = True
    lesion, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    lesion[3:5, 3:5, 1] = True
    lesion[2:8, 3:7, 2] = True
    lesion[0:4, 3:5, 3] = True
    ignored[6:9, 3:5, 1:3] = True
    # Few different scores: ties.
    filtered = np.round(random.random(shape) * 4 + 2 * lesion).astype(np.float32) / 4
    return filtered, brain, lesion & ~ignored, ignored


def test_areas_equal_scikit_learn_with_ties_and_ignored_voxels(scan):
    filtered, brain, lesion, ignored = scan
    table = slice_areas(*scan, AFFINE)
    assert table["slice"].tolist() == [1, 2, 3]
    for row in table.itertuples():
        z = row.slice
        counts = (brain | lesion)[:, :, z] & ~ignored[:, :, z]
        expected = roc_auc_score(lesion[:, :, z][counts], filtered[:, :, z][counts])
        assert row.auroc == pytest.approx(expected)
        assert row.lesion_voxels == lesion[:, :, z].sum()
        assert row.lesion_mm2 == pytest.approx(3 * row.lesion_voxels)


def test_slices_without_lesion_or_without_normal_voxels_have_no_row(scan):
    filtered, brain, lesion, ignored = scan
    assert len(slice_areas(filtered, brain, np.zeros_like(lesion), ignored, AFFINE)) == 0
    assert len(slice_areas(filtered, lesion, lesion, np.zeros_like(ignored), AFFINE)) == 0
