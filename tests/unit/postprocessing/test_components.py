import numpy as np
import pytest
from scipy import ndimage

from normscan.postprocessing.components import component_table, drop_small, label

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 1, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])


def blocks():
    """A block of 12 voxels, one of 8, one of 7."""
    detected = np.zeros((12, 12, 12), bool)
    detected[1:3, 1:3, 1:4] = True
    detected[5:7, 5:7, 5:7] = True
    detected[9, 9, 2:9] = True
    return detected


def test_components_below_the_limit_are_dropped():
    kept = drop_small(blocks(), 8)
    expected = blocks()
    expected[9] = False
    np.testing.assert_array_equal(kept, expected)
    assert drop_small(blocks(), 13).sum() == 0
    np.testing.assert_array_equal(drop_small(blocks(), 0), blocks())


def test_an_empty_detection_stays_empty():
    assert not drop_small(np.zeros((4, 4, 4), bool)).any()
    table = component_table(np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4)), AFFINE)
    assert len(table) == 0 and "volume_ml" in table


def test_a_volume_that_is_detected_everywhere_is_one_component():
    everywhere = np.ones((3, 4, 5), bool)
    assert drop_small(everywhere, 8).all()
    assert component_table(everywhere, np.ones((3, 4, 5)), AFFINE)["voxels"].tolist() == [60]


def test_corners_join_unless_faces_are_asked_for():
    diagonal = np.zeros((8, 8, 8), bool)
    diagonal[np.arange(8), np.arange(8), np.arange(8)] = True
    assert drop_small(diagonal, 8).sum() == 8
    assert drop_small(diagonal, 8, connectivity=6).sum() == 0


@pytest.mark.parametrize("connectivity, rank", [(6, 1), (18, 2), (26, 3)])
def test_dropping_equals_scipy_labels(connectivity, rank):
    noise = np.random.default_rng(3).random((20, 20, 20)) < 0.12
    labels, _ = ndimage.label(noise, ndimage.generate_binary_structure(3, rank))
    sizes = np.bincount(labels.ravel())
    expected = noise & (sizes[labels] >= 4)
    assert 0 < expected.sum() < noise.sum()
    np.testing.assert_array_equal(drop_small(noise, 4, connectivity), expected)
    assert label(noise, connectivity)[1] == labels.max()


def test_table_of_components():
    score = np.random.default_rng(0).random((12, 12, 12)).astype(np.float32)
    table = component_table(blocks(), score, AFFINE)
    assert table["component"].tolist() == [1, 2, 3]
    assert table["voxels"].tolist() == [12, 8, 7]
    np.testing.assert_allclose(table["volume_ml"], np.array([12, 8, 7]) * 6 / 1000)
    first = table.iloc[0]
    centre = AFFINE @ [1.5, 1.5, 2, 1]
    assert (first["x_mm"], first["y_mm"], first["z_mm"]) == pytest.approx(tuple(centre[:3]))
    inside = score[1:3, 1:3, 1:4]
    assert first["mean_score"] == pytest.approx(inside.mean())
    assert first["max_score"] == pytest.approx(inside.max())
    row = table.iloc[2]
    assert [row[f"{axis}_first"] for axis in "xyz"] == [9, 9, 2]
    assert [row[f"{axis}_last"] for axis in "xyz"] == [9, 9, 8]
