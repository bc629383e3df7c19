"""A rule per slice as the first rule: detections, scores, tables and pages say the same."""

import numpy as np
import pytest
from handed_on import evaluate, filter_and_segment, run, write_detections
from made_pack import AFFINE, write_pack

from normscan.evaluation.found import Found
from normscan.evaluation.segmentation import segmentation_scores
from normscan.files import load_nifti, read_json, read_tsv, write_json
from normscan.postprocessing.exported import write_record
from normscan.postprocessing.pooling import operating_points
from normscan.postprocessing.slice_rules import SLICE_RULES, binarise, operating_point
from normscan.report.screened import read_screened
from normscan.report.unusual import Bundles
from normscan.slices.index import load_index

SHAPE = (20, 20, 6)
SETTINGS = {**SLICE_RULES["otsu"], "opening": 20.0}
RECORD = operating_points(
    [{"label": "otsu_slice_20_0", "kind": "otsu", "settings": SETTINGS}], None, [], [], {}
)["otsu_slice_20_0"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("otsu")
    random = np.random.default_rng(0)
    brain = np.zeros(SHAPE, bool)
    brain[2:18, 2:18] = True
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[5:10, 5:11, 1:4] = 1
    score = random.uniform(0, 0.2, SHAPE) + 0.4 * (lesion > 0) * np.linspace(0.6, 2, 6)
    score[15, 15, 2] = 2.0
    signed = np.where(brain, score * np.where(random.random(SHAPE) < 0.3, -1, 1), 0)
    signed = np.where(lesion > 0, np.abs(signed), signed).astype(np.float32)
    signed[15, 15, 2] = 2.0
    pack = write_pack(folder, {"sub-1": {"brain": brain, "lesion": lesion, "image": brain * 1.0}})
    write_detections(folder, pack, {"sub-1": signed})
    # What the threshold would be is nowhere: none is given.
    filter_and_segment(
        folder, pack, prior="hyperintense", points={"otsu_slice_20_0": RECORD},
        primary="otsu_slice_20_0", volumes={"detections": "both"},
    )  # fmt: skip
    expected = binarise(np.maximum(signed, 0), operating_point(RECORD), AFFINE)
    return folder, expected, lesion > 0


def test_detections_are_those_of_the_rule_everywhere(made):
    folder, expected, lesion = made
    manifest = read_json(folder / "detected.json")
    assert manifest["rule"] == "otsu_slice_20_0" and manifest["threshold"] is None
    assert (manifest["per"], manifest["settings"]) == ("slice", SETTINGS)
    volumes = manifest["scans"]["sub-1"]
    for name in ("detection", "native_detection"):
        np.testing.assert_array_equal(load_nifti(volumes[name])[0] > 0, expected)
    assert expected.any() and not expected[15, 15, 2]
    found = Found(folder / "detected.json")
    np.testing.assert_array_equal(found.detected("sub-1"), expected)
    assert found.splits_slices and found.thresholded("sub-1")[15, 15, 2]
    table = read_tsv(folder / "detected-components.tsv")
    assert table["atlas_voxels"].sum() == expected.sum()


def test_scores_are_those_of_the_detections_and_marked_as_no_oracle(made):
    folder, expected, lesion = made
    metrics, _ = evaluate(folder, {"sub-1": "validation"}, prior="hyperintense")
    own = metrics[metrics["threshold_rule"] == "otsu_slice_20_0"]
    scans = own[own["level"] == "scan"]
    scores = segmentation_scores(expected, lesion, AFFINE)
    assert dict(zip(scans["metric"], scans["value"])) == pytest.approx(scores, nan_ok=True)
    # The rule has a row of thresholds as all have, and no number in it.
    assert own[own["metric"] == "threshold"]["value"].isna().all()
    assert len(own[own["metric"] == "threshold"]) == 1
    assert {"box_recall", "box_precision", "box_iou"} <= set(own["metric"])


def test_an_old_manifest_has_a_threshold_only(made):
    folder, _, _ = made
    content = read_json(folder / "detected.json")
    for key in ("per", "kind", "settings"):
        del content[key]
    write_json(folder / "old.json", {**content, "threshold": 0.5})
    found = Found(folder / "old.json")
    expected = found.filtered("sub-1") > 0.5
    np.testing.assert_array_equal(found.detected("sub-1"), expected)
    assert not found.splits_slices


def test_scans_are_screened_by_the_rule_and_pages_say_so(made, tmp_path):
    folder, _, _ = made
    pack = folder / "00.json"
    record = {
        "protocol": "p", "title": "Intensity", "model": "none", "detector": "intensity",
        "expected": "restored", "settings": {}, "seed": 0, "files": {}, "uses": [],
        "fingerprint": load_index(pack).settings, "primary_rule": "otsu_slice_20_0",
        "thresholds": {"none": {"otsu_slice_20_0": RECORD, "gone": {"threshold": None}}},
        "postprocessing": {"erosion": 0, "median": 1, "minimum_voxels": 0, "prior": "hyperintense"},
    }  # fmt: skip
    write_record(tmp_path / "bundle" / "approach.json", record)
    write_json(tmp_path / "checked.json", {"excluded": {}})
    params = {
        "bundle": str(tmp_path / "bundle"), "prior": "none", "contrast": "FLAIR",
        "on_bad_scan": "stop", "folder": str(tmp_path / "out"), "device": "cpu",
    }  # fmt: skip
    manifest = tmp_path / "out" / "07.json"
    manifest.parent.mkdir()
    wildcards = {"cohort": "wmh", "protocol": "p", "variant": "intensity", "seed": "0"}
    inputs = {"index": pack, "checked": tmp_path / "checked.json"}
    run("screen_scans.py", input=inputs, params=params, output=[manifest], wildcards=wildcards)
    content, found = read_json(manifest), Found(manifest)
    assert (content["rule"], content["threshold"]) == ("otsu_slice_20_0", None)
    # The protocol's prior, not the cohort's: nothing that is darker than expected counts.
    expected = binarise(found.filtered("sub-1"), operating_point(RECORD), AFFINE)
    assert expected.any()
    written = load_nifti(content["scans"]["sub-1"]["native_detection"])[0] > 0
    np.testing.assert_array_equal(written, expected)
    made_pages = read_screened(
        [str(manifest)], {}, "none", tmp_path, Bundles(tmp_path / "bundles.json")
    )
    (result,) = made_pages.results["sub-1"]
    assert result["prior"] == "hyperintense"
    (rule,) = result["thresholds"]
    assert (rule["value"], rule["per"], rule["used"]) == (None, "slice", True)
