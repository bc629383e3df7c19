"""Packing a shard: what is packed, where it lies, and what is refused."""

import json

import numpy as np
import pytest
from made_scans import AFFINE, SHAPE, ellipsoid, manifest, write_scan

from normscan.errors import ConfigError, NormscanError, ScanError
from normscan.files import load_nifti, save_nifti
from normscan.slices.grid import slice_grid
from normscan.slices.index import (
    differences,
    layer_path,
    load_index,
    open_array,
    open_layer,
    stack_volume,
)
from normscan.slices.pack import SETTINGS, pack_shard


def pack(folder, scans, *, contrasts=("FLAIR",), name="00", **settings):
    settings = {**SETTINGS, "size": 16, **settings}
    index = folder / "slices" / f"{name}.json"
    pack_shard(
        manifest(scans, shard=name),
        index.with_suffix(".npy"),
        index,
        contrasts=list(contrasts),
        fingerprint={
            "preprocessing": [{"step": "normalise", "percentile": 98}],
            "slices": settings,
        },
        **settings,
    )
    return load_index(index), open_array(index)


def layer(folder, name, entry):
    """A layer of a scan as a volume."""
    rows = open_layer(folder / "slices" / "00.json", name)
    return stack_volume(rows[entry.rows], entry)


def on_grid(scan, key, size=16):
    """A mask or label map of a scan on the slice grid, computed from its file."""
    volume, affine = load_nifti(scan[key], np.int16)
    return slice_grid(volume.shape, affine, size).labels(volume)


def test_all_slices_with_brain_are_packed_and_lie_where_the_index_says(tmp_path):
    contrasts = ("FLAIR", "T1w")
    scans = [write_scan(tmp_path, f"sub-{i}", contrasts=contrasts, seed=i) for i in range(2)]
    index, array = pack(tmp_path, scans, contrasts=contrasts, size=40)
    assert array.dtype == np.float32
    assert array.shape == (sum(entry.count for entry in index.scans), 2, 40, 40)
    assert [entry.first for entry in index.scans] == [0, index.scans[0].count]
    for scan, entry in zip(scans, index.scans):
        brain = on_grid(scan, "brain", 40)
        grid = slice_grid(SHAPE, AFFINE, 40)
        np.testing.assert_array_equal(grid.affine, entry.affine)
        assert brain.shape == entry.shape
        np.testing.assert_array_equal(layer(tmp_path, "brain", entry), brain)
        assert entry.z == np.flatnonzero(brain.any(axis=(0, 1))).tolist()
        own = array[entry.first : entry.first + entry.count]
        for channel, contrast in enumerate(contrasts):
            volume, _ = load_nifti(scan["images"][contrast])
            # 40 pixels of 2 mm: the grid of the scan, padded from 32 to 40 voxels along x.
            padded = np.pad(volume, [(4, 4), (0, 0), (0, 0)])
            np.testing.assert_allclose(own[:, channel], entry.slices_of(padded), atol=1e-6)
            np.testing.assert_allclose(stack_volume(own[:, channel], entry), padded, atol=1e-6)


def test_slices_do_not_depend_on_the_other_scans_of_a_shard(tmp_path):
    one, other = (write_scan(tmp_path, f"sub-{i}", seed=i) for i in range(2))
    alone, array = pack(tmp_path / "a", [other])
    both, arrays = pack(tmp_path / "b", [one, other])
    entry = both.scans[1]
    np.testing.assert_array_equal(arrays[entry.first :], array)
    assert alone.fingerprint == both.fingerprint


def test_repeated_packing_gives_the_same_bytes(tmp_path):
    scan = write_scan(tmp_path, "sub-1", lesion=True)
    for name in ("00", "01"):
        pack(tmp_path, [scan], name=name)
    files = [(tmp_path / "slices" / f"{name}.npy").read_bytes() for name in ("00", "01")]
    assert files[0] == files[1]


def test_other_content_gives_another_index(tmp_path):
    first, _ = pack(tmp_path / "a", [write_scan(tmp_path / "a", "sub-1", seed=1)])
    other, _ = pack(tmp_path / "b", [write_scan(tmp_path / "b", "sub-1", seed=2)])
    assert first.digest != other.digest


def test_layers_are_the_masks_on_the_slice_grid(tmp_path):
    scans = [write_scan(tmp_path, f"sub-{i}", seed=i, lesion=i == 1) for i in range(2)]
    index, array = pack(tmp_path, scans)
    rows = open_layer(tmp_path / "slices" / "00.json", "lesion")
    assert rows.shape == (len(array), 16, 16) and rows.dtype == np.uint8
    assert set(np.unique(rows)) == {0, 1, 4}
    healthy, patient = index.scans
    assert not rows[healthy.rows].any() and healthy.lesion_voxels == [0] * healthy.count
    for name, scan, entry in (("brain", scans[0], healthy), ("brain", scans[1], patient)):
        np.testing.assert_array_equal(layer(tmp_path, name, entry), on_grid(scan, name))
    lesions = on_grid(scans[1], "lesions")
    np.testing.assert_array_equal(layer(tmp_path, "lesion", patient), lesions)
    assert patient.lesion_voxels == (lesions > 0).sum(axis=(0, 1))[patient.z].tolist()
    assert set(index.layers) == {"brain", "lesion"}
    # No volume is written beside the arrays.
    assert not list((tmp_path / "slices").rglob("*.nii*"))


def test_large_labels_are_kept(tmp_path):
    scan = write_scan(tmp_path, "sub-1", lesion=True)
    labels, affine = load_nifti(scan["lesions"], np.int16)
    save_nifti(scan["lesions"], np.where(labels == 4, 1004, labels), affine, np.int16)
    pack(tmp_path, [scan])
    rows = open_layer(tmp_path / "slices" / "00.json", "lesion")
    assert rows.dtype == np.int16 and set(np.unique(rows)) == {0, 1, 1004}


def test_other_masks_give_another_index(tmp_path):
    first, _ = pack(tmp_path / "a", [write_scan(tmp_path / "a", "sub-1")])
    other, _ = pack(tmp_path / "b", [write_scan(tmp_path / "b", "sub-1", lesion=True)])
    assert first.digest == other.digest
    assert first.layers["brain"] == other.layers["brain"]
    assert first.layers["lesion"] != other.layers["lesion"]


def test_slices_with_lesion_but_no_brain_are_packed(tmp_path):
    scan = write_scan(tmp_path, "sub-1", lesion=True)
    every, _ = pack(tmp_path / "a", [scan])
    brain, affine = load_nifti(scan["brain"], np.uint8)
    z = SHAPE[2] // 2
    brain[:, :, z - 1 :] = 0
    save_nifti(scan["brain"], brain, affine)
    index, array = pack(tmp_path / "b", [scan])
    entry = index.scans[0]
    assert (
        entry.z == [one for one in every.scans[0].z if one <= z + 1] and len(array) == entry.count
    )
    assert entry.brain_voxels[-3:] == [0, 0, 0] and min(entry.lesion_voxels[-3:]) > 0
    assert entry.rows_with_brain().tolist() == list(range(entry.count - 3))


def test_slices_with_little_brain_are_packed_but_not_chosen(tmp_path):
    scan = write_scan(tmp_path, "sub-1")
    every, whole = pack(tmp_path, [scan])
    some, array = pack(tmp_path, [scan], min_brain_voxels=60)
    np.testing.assert_array_equal(array, whole)
    assert (every.min_brain_voxels, some.min_brain_voxels) == (1, 60)
    entry = some.scans[0]
    counts = on_grid(scan, "brain").sum(axis=(0, 1))
    assert entry.brain_voxels == counts[entry.z].tolist()
    chosen = entry.rows_with_brain(some.min_brain_voxels)
    assert [entry.z[row] for row in chosen] == np.flatnonzero(counts >= 60).tolist()
    assert 0 < len(chosen) < len(entry.rows_with_brain()) == entry.count


def test_axial_slices_are_packed_whatever_the_order_of_axes(tmp_path):
    scan = write_scan(tmp_path, "sub-1")
    turned = dict(scan, images=dict(scan["images"]), scan="sub-2")
    for key in ("image", "brain"):
        path = scan["images"]["FLAIR"] if key == "image" else scan["brain"]
        volume, affine = load_nifti(path)
        flipped = affine.copy()
        flipped[:3, 0], flipped[:3, 3] = -affine[:3, 0], affine[:3] @ [SHAPE[0] - 1, 0, 0, 1]
        order = [2, 0, 1]
        new = tmp_path / f"turned-{key}.nii.gz"
        save_nifti(new, volume[::-1].transpose(order), flipped[:, [*order, 3]])
        if key == "image":
            turned["images"]["FLAIR"] = str(new)
        else:
            turned["brain"] = str(new)
    first, array = pack(tmp_path / "a", [scan])
    second, other = pack(tmp_path / "b", [turned])
    np.testing.assert_allclose(other, array, atol=1e-6)
    assert not differences(first.fingerprint, second.fingerprint)


def test_a_shard_whose_scans_were_all_excluded_is_empty(tmp_path):
    index, array = pack(tmp_path, [])
    assert index.scans == [] and array.shape == (0, 1, 16, 16)
    assert open_layer(tmp_path / "slices" / "00.json", "brain").shape == (0, 16, 16)
    assert index.excluded[0]["scan"] == "sub-99"


def broken(tmp_path, kind):
    scan = write_scan(tmp_path, "sub-1")
    if kind == "no mask":
        scan["brain"] = ""
    elif kind == "empty mask":
        save_nifti(scan["brain"], np.zeros(SHAPE), AFFINE, np.uint8)
    elif kind == "no contrast":
        scan["images"] = {"T1w": scan["images"]["FLAIR"]}
    elif kind == "other grid":
        save_nifti(scan["images"]["FLAIR"], np.ones((32, 40, 9), np.float32), AFFINE)
    elif kind == "not finite":
        volume = np.full(SHAPE, np.nan, np.float32)
        save_nifti(scan["images"]["FLAIR"], volume, AFFINE)
    return scan


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no mask", "sub-1: .*no brain mask.*strip_skull"),
        ("empty mask", "sub-1: .*brain.nii.gz: no axial slice"),
        ("no contrast", "sub-1: has no contrast 'FLAIR'; it has: T1w"),
        ("other grid", r"sub-1: .*FLAIR.*another grid \(32, 40, 9\)"),
        ("not finite", "FLAIR.*not finite"),
    ],
)
def test_scans_that_cannot_be_packed_are_named(tmp_path, kind, message):
    with pytest.raises(NormscanError, match=message):
        pack(tmp_path, [broken(tmp_path, kind)])
    assert not (tmp_path / "slices" / "00.npy").exists()
    assert not (tmp_path / "slices" / "00.json").exists()


def test_scans_on_unequal_grids_are_refused(tmp_path):
    other = AFFINE.copy()
    other[0, 3] += 5
    scans = [write_scan(tmp_path, "sub-1"), write_scan(tmp_path, "sub-2", affine=other)]
    with pytest.raises(ScanError, match="sub-2.*another grid than sub-1"):
        pack(tmp_path, scans)


@pytest.mark.parametrize(
    "setting", [{"size": 4}, {"field_of_view": 0}, {"field_of_view": -3.0}, {"min_brain_voxels": 0}]
)
def test_impossible_settings_are_named(tmp_path, setting):
    (name,) = setting
    with pytest.raises(ConfigError, match=f"slices.{name}: found"):
        pack(tmp_path, [], **setting)


def test_a_damaged_index_or_array_is_named(tmp_path):
    scan = write_scan(tmp_path, "sub-1")
    pack(tmp_path, [scan])
    array = tmp_path / "slices" / "00.npy"
    array.write_bytes(array.read_bytes()[:200])
    with pytest.raises(NormscanError, match="00.npy: cannot be read"):
        open_array(tmp_path / "slices" / "00.json")
    layer_path(tmp_path / "slices" / "00.json", "brain").unlink()
    with pytest.raises(NormscanError, match="00.brain.npy: cannot be read.*pack the scans again"):
        open_layer(tmp_path / "slices" / "00.json", "brain")
    (tmp_path / "slices" / "00.json").write_text(json.dumps({"scans": []}))
    with pytest.raises(NormscanError, match="00.json: not an index"):
        load_index(tmp_path / "slices" / "00.json")


def test_differences_are_readable_and_none_when_equal(tmp_path):
    index, _ = pack(tmp_path, [write_scan(tmp_path, "sub-1")])
    stored = json.loads(json.dumps(index.fingerprint))
    assert differences(index.fingerprint, stored) == []
    stored["preprocessing"][0]["percentile"] = 95
    stored["grid"]["affine"][0][0] += 1
    stored["contrasts"] = ["T1w"]
    lines = differences(index.fingerprint, stored)
    assert len(lines) == 3
    assert "preprocessing.normalise.percentile: 98 for the model, 95 for these scans" in lines
    assert any(line.startswith("contrasts: nothing for the model") for line in lines)
    assert any(line.startswith("grid.affine") for line in lines)


def test_other_steps_are_named_in_their_order():
    model = {"preprocessing": [{"step": "register"}, {"step": "normalise"}]}
    scans = {"preprocessing": [{"step": "register"}, {"step": "denoise"}, {"step": "normalise"}]}
    (line,) = differences(model, scans)
    assert "register > normalise for the model" in line
    assert "register > denoise > normalise for these scans" in line


def test_the_made_brain_is_inside_its_grid():
    assert not ellipsoid()[0].any() and ellipsoid().any()


def test_anatomical_classes_are_numbered_in_their_order(tmp_path):
    labelled, bare = write_scan(tmp_path, "sub-1", lesion=True), write_scan(tmp_path, "sub-2")
    labelled = {**labelled, "anatomy": labelled["lesions"], "lesions": ""}
    index, _ = pack(tmp_path, [labelled, bare], anatomy_classes={"b": [4, 9], "a": 1}, size=40)
    assert set(index.layers) == {"brain", "lesion", "anatomy"}
    expected = on_grid({**labelled, "lesions": labelled["anatomy"]}, "lesions", 40)
    found = layer(tmp_path, "anatomy", index.scan("sub-1"))
    np.testing.assert_array_equal(found == 1, expected == 4)
    np.testing.assert_array_equal(found == 2, expected == 1)
    assert not layer(tmp_path, "anatomy", index.scan("sub-2")).any()
    # Without classes nobody knows what labels mean.
    assert set(pack(tmp_path, [labelled, bare])[0].layers) == {"brain", "lesion"}
