"""Maps of a shard are written as arrays with the rows of its pack."""

import numpy as np
import pytest
from made_pack import write_pack

from normscan.detectors.base import Detection
from normscan.detectors.maps import brain_rows, write_maps
from normscan.errors import NormscanError
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader

SHAPE = (8, 8, 6)


@pytest.fixture
def index(tmp_path):
    """Slices 1 to 4 have brain (9 voxels in slice 1, 16 in the others), slice 5 has a lesion."""
    scans = {}
    for name in ("sub-1", "sub-2"):
        brain, lesion = np.zeros((2, *SHAPE), np.uint8)
        brain[2:6, 2:6, 1:5] = 1
        brain[5, :, 1] = brain[:, 5, 1] = 0
        lesion[3, 3, 5] = 1
        scans[name] = {"brain": brain, "lesion": lesion, "image": brain}
    return load_index(write_pack(tmp_path, scans, min_brain_voxels=10))


def write(path, index, detections):
    write_maps(path, {"cohort": "wmh"}, index, index.scans, iter(detections))
    return RowReader(path)


def test_only_slices_with_enough_brain_have_values(index, tmp_path):
    random = np.random.default_rng(0)
    maps = [random.normal(size=(3, 8, 8)).astype(np.float32) for _ in index.scans]
    expected = [random.random((3, 2, 8, 8), np.float32) for _ in index.scans]
    found = write(tmp_path / "m.json", index, map(Detection, maps, expected))
    assert found.content["cohort"] == "wmh"
    for scan, signed, one in zip(index.scans, maps, expected):
        assert scan.z == [1, 2, 3, 4, 5]
        assert brain_rows(index, scan).tolist() == [scan.first + row for row in (1, 2, 3)]
        rows = found.rows("map", scan.scan)
        np.testing.assert_array_equal(rows[1:4], signed)
        assert not rows[[0, 4]].any()
        # The first target is what is shown of an expectation.
        np.testing.assert_array_equal(
            found.rows("expected", scan.scan)[1:4], one[:, 0].astype(np.float16)
        )
        assert "slice_scores" not in found.scans[scan.scan]


def test_uncertainty_is_there_where_a_detector_gives_it(index, tmp_path):
    random = np.random.default_rng(0)
    maps = [random.normal(size=(3, 8, 8)).astype(np.float32) for _ in index.scans]
    spreads = [random.random((3, 8, 8), np.float32) for _ in index.scans]
    # Without a normalisation it may be beyond half precision.
    spreads[0][0, 0, 0] = 1e6
    detections = [Detection(one, uncertainty=spread) for one, spread in zip(maps, spreads)]
    found = write(tmp_path / "m.json", index, detections)
    for scan, spread in zip(index.scans, spreads):
        rows = found.rows("uncertainty", scan.scan)
        expected = np.minimum(spread, np.finfo(np.float16).max).astype(np.float16)
        np.testing.assert_array_equal(rows[1:4], expected)
        assert not rows[[0, 4]].any() and np.isfinite(rows).all()
    assert (tmp_path / "m.uncertainty.npy").is_file()
    without = write(tmp_path / "n.json", index, map(Detection, maps))
    assert not without.has("uncertainty") and [*tmp_path.glob("n*.npy")] == [tmp_path / "n.npy"]


def test_a_detector_may_score_slices_only_or_as_well(index, tmp_path):
    scores = [np.array([0.5, -2.0, 7.0]), np.array([1.0, 2.0, 3.0])]
    only = write(tmp_path / "m.json", index, [Detection(None, scores=one) for one in scores])
    assert not only.has("map") and not list(tmp_path.glob("m*.npy"))
    assert only.scans["sub-1"]["slice_scores"] == [None, 0.5, -2.0, 7.0, None]
    maps = np.ones((3, 8, 8), np.float32)
    both = write(tmp_path / "n.json", index, [Detection(maps, scores=one) for one in scores])
    assert both.has("map") and both.scans["sub-2"]["slice_scores"][1:4] == [1, 2, 3]


def test_scores_that_are_not_finite_are_refused(index, tmp_path):
    bad = Detection(None, scores=np.array([0.0, np.nan, 1.0]))
    with pytest.raises(NormscanError, match="sub-1: scores of its slices are not finite"):
        write(tmp_path / "m.json", index, [bad, bad])
    assert not (tmp_path / "m.json").exists()


def test_what_is_expected_may_be_larger_than_half_precision(index, tmp_path):
    expected = np.full((3, 1, 8, 8), 1e6, np.float32)
    maps = np.ones((3, 8, 8), np.float32)
    found = write(tmp_path / "m.json", index, [Detection(maps, expected)] * 2)
    assert np.isfinite(found.rows("expected", "sub-1")).all()
