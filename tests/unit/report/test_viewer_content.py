"""What the viewer is given: volumes that other programs read back, rules in words, components."""

import base64
import gzip
import hashlib
import re

import made_viewer
import nibabel
import numpy as np
import pytest
from made_pack import AFFINE

from normscan.report import vendor
from normscan.report.viewer import rule_content, viewer_content
from normscan.report.volumes import box_of, embedded, in_steps, shifted

TILTED = np.array([[1.9, 0.1, 0, -40], [-0.1, 1.9, 0.2, 3], [0, -0.2, 3, 7], [0, 0, 0, 1]])


def read_back(text: str) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


@pytest.mark.parametrize(("low", "steps"), [(0.0, 255), (-1.5, 255), (0.0, 4095)])
def test_values_are_within_half_a_step(low, steps):
    volume = np.random.default_rng(1).uniform(low, 2.5, (12, 10, 8)).astype(np.float32)
    volume[:3] = 0
    box = box_of(volume != 0)
    image = read_back(embedded(volume, TILTED, box, steps))
    error = np.abs(image.get_fdata() - volume[box])
    assert error.max() <= (volume.max() - min(0, volume.min())) / steps / 2 * 1.001
    assert image.get_data_dtype() == (np.uint8 if steps == 255 else np.uint16)
    if low == 0:
        assert (error[volume[box] == 0] == 0).all()


def test_masks_stay_what_they_are():
    mask = np.random.default_rng(2).integers(0, 4, (6, 6, 6)).astype(np.uint8)
    image = read_back(embedded(mask, AFFINE, box_of(np.ones_like(mask))))
    np.testing.assert_array_equal(image.get_fdata(), mask)
    assert in_steps(np.ones((2, 2, 2), bool))[1:] == (1.0, 0.0)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0])
def test_volumes_without_a_range_are_read_back(value):
    volume = np.full((4, 4, 4), value, np.float32)
    image = read_back(embedded(volume, AFFINE, box_of(volume != 0)))
    np.testing.assert_allclose(image.get_fdata(), value)


def test_every_voxel_keeps_its_place_when_volumes_are_cropped():
    volume = np.zeros((12, 10, 8), np.float32)
    volume[5, 6, 4] = 1
    image = read_back(embedded(volume, TILTED, box_of(volume > 0, margin=1)))
    assert image.shape == (3, 3, 3)
    place = np.argwhere(image.get_fdata() > 0.5)[0]
    np.testing.assert_allclose(image.affine @ [*place, 1], TILTED @ [5, 6, 4, 1], atol=1e-5)


def test_boxes_end_at_the_volumes_border_and_hold_all_of_an_empty_mask():
    mask = np.zeros((5, 6, 7), bool)
    assert box_of(mask) == (slice(0, 5), slice(0, 6), slice(0, 7))
    mask[0, 5, 3] = True
    assert box_of(mask) == (slice(0, 3), slice(3, 6), slice(1, 6))
    assert shifted(AFFINE, box_of(mask))[:3, 3].tolist() == [0, 6, 2]


def test_equal_volumes_give_equal_bytes(monkeypatch):
    volume = np.random.default_rng(3).random((6, 6, 6)).astype(np.float32)
    box = box_of(volume > 0)
    first = embedded(volume, AFFINE, box)
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert embedded(volume.copy(), AFFINE, box) == first
    assert base64.b64decode(first)[4:8] == bytes(4), "the time in the header of gzip"


def test_layers_are_what_was_found(tmp_path):
    shown = made_viewer.shown(tmp_path)
    content = viewer_content(made_viewer.SCAN, shown, labels=[])
    made, found = made_viewer.volumes(), shown[0].found
    (pack,) = content["packs"]
    layers = {one["kind"]: read_back(one["nifti"]) for one in pack["layers"]}
    assert list(layers) == ["scan", "truth"]
    box = box_of(made["brain"] > 0)
    np.testing.assert_allclose(layers["scan"].get_fdata(), made["image"][box], atol=0.01)
    np.testing.assert_array_equal(layers["truth"].get_fdata(), made["lesion"][box])
    first, second = content["approaches"]
    assert [one["kind"] for one in first["layers"]] == ["expected", "map", "detection"]
    assert [one["kind"] for one in second["layers"]] == ["map", "detection"]
    assert [one["name"] for one in first["layers"]][0] == "restoration"
    images = {one["kind"]: read_back(one["nifti"]) for one in first["layers"]}
    score, detected = images["map"].get_fdata(), found.detected(made_viewer.SCAN)[box]
    np.testing.assert_array_equal(score > made_viewer.THRESHOLD, detected)
    # In a lesion and outside of one.
    marked = images["detection"].get_fdata()
    assert set(np.unique(marked)) == {0, 1, 2}
    np.testing.assert_array_equal(marked == 1, detected & (made["lesion"][box] > 0))
    assert first["voxel_ml"] == pytest.approx(0.008)


def test_without_a_truth_nothing_is_called_a_hit(tmp_path):
    content = viewer_content(made_viewer.SCAN, made_viewer.shown(tmp_path))
    assert [one["kind"] for one in content["packs"][0]["layers"]] == ["scan"]
    marked = read_back(content["approaches"][0]["layers"][-1]["nifti"]).get_fdata()
    assert set(np.unique(marked)) == {0, 2}


def test_components_have_a_place_inside_of_themselves(tmp_path):
    (one,) = made_viewer.shown(tmp_path, ("VAE",))
    content = viewer_content(made_viewer.SCAN, [one])
    detected = one.found.detected(made_viewer.SCAN)
    places = content["approaches"][0]["components"]
    assert list(places) == ["1", "2"]
    for number, mm in places.items():
        x, y, z = np.rint(np.linalg.solve(AFFINE, [*mm, 1])[:3]).astype(int)
        row = one.components.set_index("component").loc[int(number)]
        assert detected[x, y, z] and row["atlas_x_first"] <= x <= row["atlas_x_last"]


def test_rules_say_what_they_mean():
    used, limit, split = map(rule_content, made_viewer.RULES)
    assert used["value"] == 0.5 and used["used"] and not limit["used"]
    assert used["words"] == (
        "Best Dice on validation patients: scores above 0.5000 are marked. It marks 0.40\u00a0% of "
        "healthy voxels. Detections on this page are by this rule."
    )
    assert split["value"] is None and "each slice has a threshold of its own" in split["words"]
    unknown = rule_content({"rule": "fixed", "value": 0.4, "false_positive_rate": None})
    assert "was not measured" in unknown["words"]


def test_the_library_is_the_one_that_was_published(tmp_path):
    digest = hashlib.sha256((vendor.VENDOR / vendor.LIBRARY).read_bytes()).hexdigest()
    assert digest in (vendor.VENDOR / "README.md").read_text()
    vendor.write_library(tmp_path / "viewer" / "niivue.umd.js")
    written = (tmp_path / "viewer" / "niivue.umd.js").read_bytes()
    assert hashlib.sha256(written).hexdigest() == digest
    licence = (tmp_path / "viewer" / vendor.LICENCE).read_text()
    assert re.search(r"BSD 2-Clause.*Copyright \(c\) 2021, Niivue", licence, re.S)
