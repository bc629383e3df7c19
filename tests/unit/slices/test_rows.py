"""Arrays with the rows of a pack: written as a whole or not at all, read by scan."""

import numpy as np
import pytest
from made_pack import write_pack

from normscan.errors import NormscanError
from normscan.files import write_json
from normscan.slices.index import load_index, stack_volume
from normscan.slices.rows import RowReader, RowWriter

SHAPE = (8, 8, 6)


@pytest.fixture
def pack(tmp_path):
    """Two scans: brain in the slices 1 to 3, and 2 to 5."""
    scans = {}
    for name, z in (("sub-1", slice(1, 4)), ("sub-2", slice(2, 6))):
        brain = np.zeros(SHAPE, np.uint8)
        brain[2:6, 2:6, z] = 1
        scans[name] = {"brain": brain, "lesion": np.zeros(SHAPE, np.uint8), "image": brain}
    return load_index(write_pack(tmp_path, scans))


def write(path, pack, scans, **values):
    with RowWriter(path, scans, pack.size) as writer:
        for kind, by_scan in values.items():
            for scan, own in by_scan.items():
                writer.put(kind, scan, *own)
    write_json(path, writer.facts())


def test_rows_come_back_as_rows_and_as_volumes(pack, tmp_path):
    random = np.random.default_rng(0)
    first, second = (random.random((scan.count, 8, 8), np.float32) for scan in pack.scans)
    path = tmp_path / "maps.json"
    values = {"sub-2": (second,), "sub-1": (first,)}
    write(path, pack, pack.scans, map=values, expected={"sub-1": (first,)})
    reader = RowReader(path)
    assert list(reader.scans) == ["sub-1", "sub-2"]
    np.testing.assert_array_equal(reader.rows("map", "sub-2"), second)
    volume = reader.volume("map", pack.scans[1])
    np.testing.assert_array_equal(volume, stack_volume(second, pack.scans[1]))
    assert not volume[:, :, :2].any() and volume.dtype == np.float32
    # One array for all scans, in half precision what is only looked at; no values are zeros.
    assert np.load(tmp_path / "maps.npy").shape == (7, 8, 8)
    assert np.load(tmp_path / "maps.expected.npy").dtype == np.float16
    np.testing.assert_allclose(reader.rows("expected", "sub-1"), first, atol=1e-3)
    assert not reader.rows("expected", "sub-2").any()


def test_some_rows_of_some_scans(pack, tmp_path):
    path = tmp_path / "maps.json"
    ones = np.ones((2, 8, 8))
    write(path, pack, pack.scans[1:], map={"sub-2": (ones, np.array([0, 3]))})
    reader = RowReader(path)
    rows = reader.rows("map", "sub-2")
    assert rows[:, 0, 0].tolist() == [1, 0, 0, 1]
    np.testing.assert_array_equal(np.load(tmp_path / "maps.npy"), rows)
    with pytest.raises(NormscanError, match="maps.json: has no values 'map' of scan sub-1"):
        reader.rows("map", "sub-1")
    with pytest.raises(NormscanError, match="has no values 'expected' of scan sub-2"):
        reader.rows("expected", "sub-2")


def test_nothing_half_written_is_left(pack, tmp_path):
    before = set(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError):
        with RowWriter(tmp_path / "maps.json", pack.scans, pack.size) as writer:
            writer.put("map", "sub-1", np.ones((3, 8, 8)))
            1 / 0  # noqa: B018
    assert set(tmp_path.iterdir()) == before


def test_a_shard_without_scans_has_no_array(pack, tmp_path):
    write(tmp_path / "maps.json", pack, [])
    reader = RowReader(tmp_path / "maps.json")
    assert reader.scans == {} and not reader.has("map")
    assert not list(tmp_path.glob("maps*.npy"))


def test_equal_values_give_equal_bytes(pack, tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.json", pack, pack.scans, map={"sub-1": (np.ones((3, 8, 8)),)})
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_what_is_missing_is_named(pack, tmp_path):
    path = tmp_path / "maps.json"
    write(path, pack, pack.scans, map={"sub-1": (np.ones((3, 8, 8)),)})
    (tmp_path / "maps.npy").unlink()
    with pytest.raises(NormscanError, match="maps.npy: cannot be read.*remove .*maps.json"):
        RowReader(path).rows("map", "sub-1")
    write_json(path, {"scans": {}})
    with pytest.raises(NormscanError, match="maps.json: no list of maps; remove it"):
        RowReader(path)
