"""Random access over packs, seeded orders, batches on a device."""

import numpy as np
import pytest
import torch
from made_scans import manifest, write_scan

from normscan.errors import ConfigError, NormscanError
from normscan.files import write_json
from normscan.slices.batches import DeviceSlices, endless_numbers, epoch_batches, epoch_order
from normscan.slices.index import PackIndex, ScanEntry, load_index, open_layer
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
    np.testing.assert_array_equal(
        np.concatenate([batch.slices for batch in store.batches(7)]), expected
    )
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
    assert found.slices.dtype == np.float32 and found.targets is found.slices
    np.testing.assert_array_equal(found.slices, everything(packs)[numbers])


def test_only_chosen_scans_are_there(packs):
    store = SliceStore(packs, ["b/sub-001", "a/sub-000", "a/sub-99"])
    assert store.scans == ["a/sub-000", "b/sub-001"]
    whole = SliceStore(packs)
    for name, (first, count) in store.ranges.items():
        start, length = whole.ranges[name]
        assert length == count
        np.testing.assert_array_equal(
            store.batch(np.arange(first, first + count)).slices,
            whole.batch(np.arange(start, start + length)).slices,
        )


def test_only_slices_with_enough_brain_are_there(packs, tmp_path):
    some = write_packs(tmp_path, min_brain_voxels=60)
    brain = np.concatenate([open_layer(path, "brain") for path in some])
    enough = brain.sum(axis=(1, 2)) >= 60
    assert 0 < enough.sum() < len(enough) == len(SliceStore(packs))
    store = SliceStore(some)
    found = store.batch(np.arange(len(store))).slices
    np.testing.assert_array_equal(found, everything(some)[enough])


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
    assert batch.slices.is_contiguous(memory_format=torch.channels_last)
    assert batch.targets is batch.slices
    np.testing.assert_array_equal(batch.slices, store.batch(numbers).slices)
    np.testing.assert_array_equal(batch.position, store.batch(numbers).position)
    found = torch.cat([part.slices for part in slices.in_order(9)])
    np.testing.assert_array_equal(found, everything(packs))


def test_slices_stream_on_the_cpu(packs):
    assert not DeviceSlices(SliceStore(packs)).resident


# What is seen of a pack


@pytest.fixture(scope="module")
def two_contrasts(tmp_path_factory):
    """A pack of two scans with two contrasts and lesions, some slices with hardly any brain."""
    folder = tmp_path_factory.mktemp("contrasts")
    random = np.random.default_rng(0)
    depth, z = 9, [1, 2, 3, 5, 6]
    shape = (2 * len(z), 2, 8, 8)
    array = random.random(shape, np.float32)
    brain = np.zeros((len(array), 8, 8), np.uint8)
    lesion = np.zeros((len(array), 8, 8), np.int16)
    for row in range(len(array)):
        brain[row].flat[: row % len(z) + 1] = 1
    lesion[[1, 7], 2, 2] = 300
    path = folder / "00.json"
    np.save(path.with_suffix(".npy"), array)
    np.save(path.with_suffix(".brain.npy"), brain)
    np.save(path.with_suffix(".lesion.npy"), lesion)
    entries = []
    for number in range(2):
        own = slice(number * len(z), (number + 1) * len(z))
        entries.append(
            ScanEntry(
                scan=f"sub-{number}",
                subject=str(number),
                session="",
                first=own.start,
                count=len(z),
                z=z,
                shape=(8, 8, depth),
                affine=np.eye(4).tolist(),
                brain_voxels=brain[own].sum((1, 2)).tolist(),
                lesion_voxels=(lesion[own] > 0).sum((1, 2)).tolist(),
            )
        )
    settings = {"slices": {"min_brain_voxels": 2}}
    index = PackIndex("a", "00", 8, ["T1w", "FLAIR"], [], "", settings, {}, entries)
    write_json(path, index.to_json())
    return path, array, brain, lesion


def test_slices_with_hardly_any_brain_are_left_out(two_contrasts):
    path, array, *_ = two_contrasts
    store = SliceStore([path])
    used = [1, 2, 3, 4, 6, 7, 8, 9]
    np.testing.assert_array_equal(store.batch(np.arange(len(store))).slices, array[used])
    assert store.rows("a/sub-1").tolist() == [6, 7, 8, 9]


def test_slices_with_lesions_can_be_left_out(two_contrasts):
    path, array, *_ = two_contrasts
    store = SliceStore([path], slices="lesion_free")
    assert store.ranges == {"a/sub-0": (0, 3), "a/sub-1": (3, 3)}
    found = store.batch(np.arange(len(store))).slices
    np.testing.assert_array_equal(found, array[[2, 3, 4, 6, 8, 9]])


def test_inputs_and_targets_are_contrasts_by_name(two_contrasts):
    path, array, *_ = two_contrasts
    store = SliceStore([path], inputs=["FLAIR"], targets=["T1w", "FLAIR"])
    batch = store.scan("a/sub-0")
    np.testing.assert_array_equal(batch.slices, array[1:5, 1:])
    np.testing.assert_array_equal(batch.targets, array[1:5])
    turned = SliceStore([path], inputs=["FLAIR", "T1w"], targets=["FLAIR", "T1w"]).scan("a/sub-0")
    np.testing.assert_array_equal(turned.slices, array[1:5, ::-1])
    assert turned.targets is turned.slices
    with pytest.raises(ConfigError, match="targets: found 'T2w', but the slices hold T1w, FLAIR"):
        SliceStore([path], targets=["T2w"])


def test_layers_and_positions_come_with_the_slices(two_contrasts):
    path, _, brain, lesion = two_contrasts
    batch = SliceStore([path], layers=["lesion", "brain"]).scan("a/sub-1")
    np.testing.assert_array_equal(batch.layers["brain"], brain[6:])
    np.testing.assert_array_equal(batch.layers["lesion"], lesion[6:])
    assert batch.layers["lesion"].max() == 300
    np.testing.assert_allclose(batch.position, np.array([2, 3, 5, 6]) / 8)
    with pytest.raises(NormscanError, match="tissue"):
        SliceStore([path], layers=["tissue"])


def test_neighbours_are_further_channels_of_the_inputs(two_contrasts):
    path, array, *_ = two_contrasts
    store = SliceStore([path], neighbours=1, targets=["FLAIR"])
    assert store.view.shape(8) == (6, 1, 8, 1)
    batch = store.scan("a/sub-1")
    # Rows 6 to 9 lie at z = 2, 3, 5, 6; 5 at z = 1 has too little brain to be looked at itself.
    around = [(5, 6, 7), (6, 7, None), (None, 8, 9), (8, 9, None)]
    for found, target, rows in zip(batch.slices, batch.targets, around):
        expected = [np.zeros((2, 8, 8)) if row is None else array[row] for row in rows]
        np.testing.assert_array_equal(found, np.concatenate(expected))
        np.testing.assert_array_equal(target, array[rows[1], 1:])


@pytest.mark.parametrize("resident", [False, True])
def test_everything_reaches_the_device(two_contrasts, resident):
    path, *_ = two_contrasts
    store = SliceStore([path], neighbours=1, inputs=["FLAIR"], targets=["T1w"], layers=["lesion"])
    numbers = np.array([7, 0, 3])
    found, expected = DeviceSlices(store, "cpu", resident)(numbers), store.batch(numbers)
    np.testing.assert_array_equal(found.slices, expected.slices)
    np.testing.assert_array_equal(found.targets, expected.targets)
    np.testing.assert_array_equal(found.layers["lesion"], expected.layers["lesion"])
    np.testing.assert_array_equal(found.position, expected.position)
    assert store.nbytes == 8 * 64 * (4 * (3 + 1) + 2)


@pytest.mark.parametrize("count", [1, 3, 7, 50])
def test_an_endless_order_brings_every_slice_equally_often(count):
    whole = endless_numbers(count, 0, 4 * count, 5)
    for start in range(0, 4 * count, count):
        np.testing.assert_array_equal(np.sort(whole[start : start + count]), np.arange(count))
    for start, length in ((0, 2), (count - 1, 3), (2 * count + 1, count)):
        expected = np.resize(whole, 5 * count) if start + length > 4 * count else whole
        np.testing.assert_array_equal(
            endless_numbers(count, start, length, 5)[: 4 * count - start],
            expected[start : start + length][: 4 * count - start],
        )


def packed_scans(folder, scans, contrasts=("FLAIR",), **settings):
    path = folder / "packs" / "00.json"
    pack_shard(
        manifest(scans, "gliomas"),
        path.with_suffix(".npy"),
        path,
        contrasts=list(contrasts),
        fingerprint={"slices": settings},
        size=16,
        **settings,
    )
    return path


def test_patients_without_a_lesion_free_slice_are_named(tmp_path, caplog):
    """Lesions of the made scans are in the middle; only these slices have most of the brain."""
    made = {f"sub-{n}": n != 2 for n in range(3)}
    scans = [write_scan(tmp_path, name, lesion=lesion) for name, lesion in made.items()]
    most = max(load_index(packed_scans(tmp_path, scans)).scans[0].brain_voxels)
    much = packed_scans(tmp_path, scans, min_brain_voxels=most)
    both = ["gliomas/sub-0", "gliomas/sub-2"]
    store = SliceStore([much], both, slices="lesion_free")
    assert store.ranges["gliomas/sub-0"][1] == 0 < store.ranges["gliomas/sub-2"][1]
    assert "no lesion-free slice with enough brain in gliomas/sub-0:" in caplog.text
    with pytest.raises(NormscanError, match="gliomas/sub-0, gliomas/sub-1: nothing to train on"):
        SliceStore([much], ["gliomas/sub-0", "gliomas/sub-1"], slices="lesion_free")


def test_four_contrasts_are_seen_in_the_order_asked_for(tmp_path):
    contrasts = ("FLAIR", "T2w", "T1w", "T1ce")
    scan = write_scan(tmp_path, "sub-1", contrasts=contrasts)
    path = packed_scans(tmp_path, [scan], contrasts)
    batch = SliceStore([path]).batch(np.arange(3))
    np.testing.assert_array_equal(batch.slices, everything([path])[:3])
    assert batch.slices.shape == (3, 4, 16, 16)
    turned = SliceStore([path], inputs=["T1ce", "FLAIR"]).batch(np.arange(3)).slices
    np.testing.assert_array_equal(turned, batch.slices[:, [3, 0]])


def test_tissues_stand_in_for_anatomy_where_no_label_maps_are_given(tmp_path):
    found = {}
    for name, maps in (("both", {"tissue", "anatomy"}), ("tissue", {"tissue"})):
        scan = write_scan(tmp_path / name, "sub-1", lesion=True)
        scan |= dict.fromkeys(maps, scan["lesions"])
        path = tmp_path / name / "00.json"
        pack_shard(
            manifest([scan]), path.with_suffix(".npy"), path, contrasts=["FLAIR"],
            fingerprint={}, size=16, anatomy_classes={"a": [1, 4]},
        )  # fmt: skip
        batch = SliceStore([path], layers=["anatomy"]).scan("demo/sub-1")
        found[name] = set(np.unique(batch.layers["anatomy"]).tolist())
    assert found == {"both": {0, 1}, "tissue": {0, 1, 4}}
