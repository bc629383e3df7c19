import numpy as np
import pytest
from scipy import ndimage

from normscan.postprocessing.components import COLUMNS, component_table, drop_small, label

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
    nothing = np.zeros((4, 4, 4), int)
    table = component_table(nothing, np.zeros((4, 4, 4)), AFFINE, nothing, AFFINE)
    assert len(table) == 0 and list(table.columns) == COLUMNS


def test_a_volume_that_is_detected_everywhere_is_one_component():
    everywhere = np.ones((3, 4, 5), bool)
    assert drop_small(everywhere, 8).all()
    table = component_table(everywhere * 1, np.ones((3, 4, 5)), AFFINE, everywhere * 1, AFFINE)
    assert table["voxels"].tolist() == [60]


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
    parts, _ = label(blocks())
    table = component_table(parts, score, AFFINE, parts, AFFINE)
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
    for name in table.columns[1:12]:
        assert table[f"atlas_{name}"].tolist() == table[name].tolist()


def test_places_are_those_of_the_labels_on_the_native_grid():
    parts = np.zeros((8, 8, 8), np.uint16)
    parts[0:2, 0:2, 0:2], parts[4:6, 4:6, 4:7], parts[7, 7, 7] = 1, 2, 3
    score = np.arange(parts.size, dtype=np.float32).reshape(parts.shape)
    native = np.zeros((20, 10, 5), np.float32)
    native[2:12, 3, 1] = 1  # larger here than component 2
    native[15, 0:2, 4], native[19, 6, 0] = 2, 2  # in two pieces
    place = np.array([[0, 0.5, 0, 7], [0.5, 0, 0, -3], [0, 0, 4, 1], [0, 0, 0, 1]])
    table = component_table(parts, score, AFFINE, native, place)
    assert table["component"].tolist() == [1, 2, 3]
    assert table["voxels"].tolist() == [10, 3, 0]
    assert table["atlas_voxels"].tolist() == [8, 12, 1]
    np.testing.assert_allclose(table["volume_ml"], [0.01, 0.003, 0])
    np.testing.assert_allclose(table["atlas_volume_ml"], [0.048, 0.072, 0.006])
    centre = (place @ [6.5, 3, 1, 1])[:3]
    assert table.loc[0, ["x_mm", "y_mm", "z_mm"]].tolist() == pytest.approx(centre)
    centre = (AFFINE @ [0.5, 0.5, 0.5, 1])[:3]
    assert table.loc[0, [f"atlas_{axis}_mm" for axis in "xyz"]].tolist() == pytest.approx(centre)
    assert table.loc[1, ["x_first", "y_first", "z_first"]].tolist() == [15, 0, 0]
    assert table.loc[1, ["x_last", "y_last", "z_last"]].tolist() == [19, 6, 4]
    # Scores are those of the map in atlas space.
    assert table["max_score"].tolist() == [score[parts == n].max() for n in (1, 2, 3)]
    # What has no voxel left has no place either, and whole numbers stay whole.
    assert table.loc[2, ["x_mm", "x_first", "z_last"]].isna().all()
    assert table["atlas_x_first"].tolist() == [0, 4, 7]
    assert table.to_csv().splitlines()[1].startswith("0,1,10,0.01,")
