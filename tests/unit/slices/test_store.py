"""Random access over packs, seeded orders, batches on a device."""

import numpy as np
import pytest
import torch
from made_scans import manifest, write_scan

from normscan.errors import NormscanError
from normscan.slices.batches import DeviceSlices, epoch_batches, epoch_order
from normscan.slices.index import open_layer
from normscan.slices.pack import pack_shard
from normscan.slices.store import SliceStore


def write_packs(folder, *, size=16, percentile=98, min_brain_voxels=1):
    """Two shards of one cohort and one of another, two scans each."""
    paths = []
    for cohort, shard in (("a", "00"), ("a", "01"), ("b", "00")):
        names = [f"sub-{shard}{i}" for i in range(2)]
        seeds = [len(paths) * 10 + i for i in range(2)]
        scans = [write_scan(folder / cohort, n, seed=s) for n, s in zip(names, seeds)]
        path = folder / "packs" / cohort / f"{shard}.json"
        pack_shard(
            manifest(scans, cohort, shard),
            path.with_suffix(".npy"),
            path,
            contrasts=["FLAIR"],
            fingerprint={
                "percentile": percentile,
                "slices": {"min_brain_voxels": min_brain_voxels},
            },
            size=size,
        )
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    return write_packs(tmp_path_factory.mktemp("packs"))


def everything(paths):
    return np.concatenate([np.load(path.with_suffix(".npy")) for path in paths])


def test_all_slices_in_order(packs):
    store = SliceStore(packs)
    expected = everything(packs)
    assert len(store) == len(expected)
    np.testing.assert_array_equal(np.concatenate(list(store.batches(7))), expected)
    assert (store.size, store.contrasts) == (16, ["FLAIR"])
    assert store.nbytes == expected.nbytes
    assert store.scans == [
        f"{c}/sub-{s}{i}" for c, s in (("a", "00"), ("a", "01"), ("b", "00")) for i in (0, 1)
    ]
    assert list(store.contents) == store.scans
    assert store.contents["b/sub-001"] == {"FLAIR": "digest of sub-001 FLAIR"}


def test_batches_across_packs_keep_the_order_asked_for(packs):
    store = SliceStore(packs)
    numbers = np.random.default_rng(0).permutation(len(store))[:23]
    found = store.batch(numbers)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, everything(packs)[numbers])


def test_only_chosen_scans_are_there(packs):
    store = SliceStore(packs, ["b/sub-001", "a/sub-000", "a/sub-99"])
    assert store.scans == ["a/sub-000", "b/sub-001"]
    whole = SliceStore(packs)
    for name, (first, count) in store.ranges.items():
        start, length = whole.ranges[name]
        assert length == count
        np.testing.assert_array_equal(
            store.batch(np.arange(first, first + count)),
            whole.batch(np.arange(start, start + length)),
        )


def test_only_slices_with_enough_brain_are_there(packs, tmp_path):
    some = write_packs(tmp_path, min_brain_voxels=60)
    brain = np.concatenate([open_layer(path, "brain") for path in some])
    enough = brain.sum(axis=(1, 2)) >= 60
    assert 0 < enough.sum() < len(enough) == len(SliceStore(packs))
    store = SliceStore(some)
    np.testing.assert_array_equal(store.batch(np.arange(len(store))), everything(some)[enough])


def test_scans_that_no_pack_has_are_named(packs):
    with pytest.raises(NormscanError, match="no slices of a/sub-007"):
        SliceStore(packs, ["a/sub-000", "a/sub-007"])
    with pytest.raises(NormscanError, match="no slices"):
        SliceStore(packs, [])


def test_packs_that_were_made_differently_are_refused(packs, tmp_path):
    other = write_packs(tmp_path, percentile=95)
    with pytest.raises(NormscanError, match="packed differently.*\n.*percentile: 98 .* 95"):
        SliceStore([packs[0], other[2]])


def test_the_same_scan_twice_is_refused(packs):
    with pytest.raises(NormscanError, match="a/sub-000 is in another pack"):
        SliceStore([packs[0], packs[0]])


def test_orders_depend_on_their_key_alone():
    orders = [epoch_order(50, seed, 0, epoch) for seed in (0, 1) for epoch in (0, 1)]
    for i, order in enumerate(orders):
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
        assert not any((order == other).all() for other in orders[:i])
    torch.manual_seed(5)
    np.testing.assert_array_equal(epoch_order(50, 1, 0, 1), orders[3])


@pytest.mark.parametrize(("count", "size"), [(10, 4), (9, 8), (7, 7), (3, 8), (65, 64)])
def test_an_epoch_has_every_slice_once_in_batches_of_nearly_equal_size(count, size):
    batches = epoch_batches(count, size, 3, 0)
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(count))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= size and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("resident", [False, True])
def test_slices_reach_the_device_unchanged(packs, resident):
    store = SliceStore(packs)
    slices = DeviceSlices(store, "cpu", resident)
    assert slices.resident == resident
    numbers = np.array([5, 0, 11])
    batch = slices(numbers)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch, store.batch(numbers))
    np.testing.assert_array_equal(torch.cat(list(slices.in_order(9))), everything(packs))


def test_slices_stream_on_the_cpu(packs):
    assert not DeviceSlices(SliceStore(packs)).resident
