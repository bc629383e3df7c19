"""Bundles come from elsewhere: what is wrong with what one says of its approach is all named."""

import json
import math

import pytest

from normscan.errors import BundleError
from normscan.files import value_digest, write_json
from normscan.postprocessing.exported import MODEL_FILES, read_record, write_record

POST = {"erosion": 0, "median": 5, "minimum_voxels": 8}
WHOLE = {"population": "slice", "opening": 256.0, "least": 0.0, "saturate": None}
OTSU = {"threshold": None, "per": "slice", "kind": "otsu", "settings": WHOLE}
GOOD = {
    "protocol": "p", "title": "VAE", "model": "vae", "uses": {"teacher": "ae"},
    "detector": "reconstruction", "expected": "reconstruction", "settings": {}, "seed": 0,
    "files": dict.fromkeys(
        [f"{folder}{name}" for folder in ("", "uses/teacher/") for name in MODEL_FILES], "a"
    ),
    "fingerprint": {}, "postprocessing": POST, "primary_rule": "best_dice",
    "thresholds": {"none": {"best_dice": {"threshold": 0.5}, "gone": {"threshold": None}}},
}  # fmt: skip


def test_what_was_written_comes_back(tmp_path):
    write_record(tmp_path / "approach.json", GOOD)
    found = read_record(tmp_path / "approach.json", "p")
    assert {key: found[key] for key in GOOD} == GOOD
    before = (tmp_path / "approach.json").read_bytes()
    write_record(tmp_path / "approach.json", found)
    assert (tmp_path / "approach.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "x/../../../ESCAPED/y"}, "'x/../../../ESCAPED/y'; its folder is that of 'p'"),
        ({"seed": "0"}, "seed: found a text; must be a whole number"),
        ({"thresholds": [1]}, "thresholds: found a list; must be a mapping"),
        ({"thresholds": {"none": {"a": 0.5}}}, "thresholds.none.a: has no 'threshold'"),
        ({"thresholds": {"none": {"a": {"threshold": "x"}}}}, "found 'x'; must be a finite number"),
        ({"thresholds": {"none": {"a": {"threshold": math.nan}}}}, "found nan; must be a finite"),
        ({"thresholds": {"none": []}}, "thresholds.none: found a list; must be a mapping"),
        ({"thresholds": {"bright": {}}}, "found prior 'bright'; allowed: hyperintense"),
        ({"thresholds": {"none": {"a": {"threshold": None, "per": "slice", "kind": "otzu"}}}},
         "thresholds.none.a: is no rule per slice; allowed: otsu"),
        ({"thresholds": {"none": {"a": {**OTSU, "kind": []}}}}, "a: is no rule per slice"),
        ({"thresholds": {"none": {"a": {**OTSU, "settings": {}}}}}, "a.settings: lacks population"),
        ({"thresholds": {"none": {"a": {**OTSU, "settings": {**WHOLE, "opening": "x"}}}}},
         "thresholds.none.a.settings.opening: found 'x'; must be a number of at least 0"),
        ({"seed": -1}, "seed: found -1; must be at least 0"),
        ({"seed": 2**32}, "seed: found 4294967296; must be at least 0 and at most 4294967295"),
        ({"uses": [], "files": {}}, "files: names no weights.safetensors, bundle.json"),
        ({"detector": "embedding-distance"}, "uses: lacks 'metric', which detector embedding-dist"),
        ({"detector": "reconstructoin"}, "did you mean 'reconstruction'"),
        ({"settings": {"steps": 3}}, "settings.steps: unknown key"),
        ({"detector": "restoration", "settings": {"steps": -1}}, "settings.steps: found -1"),
        ({"uses": {"other": "ae"}}, "files: names no uses/other/weights.safetensors"),
        ({"uses": {"../../other": "ae"}}, "files: names no uses/../../other/weights.safetensors"),
        ({"files": {"../up": "0", **GOOD["files"]}}, "../up: leads outside of"),
        ({"healthy_ml": {"none": {"a": []}}}, "healthy_ml.none.a: must be a list of volumes"),
        ({"healthy_ml": {"none": {"a": [0.1, -1]}}}, "healthy_ml.none.a: must be a list of"),
        ({"healthy_ml": [1.0]}, "healthy_ml: must be a mapping of sign priors"),
        ({"trained_on": {"cohorts": {"a": {"train": "x"}}}}, "trained_on: says no contrasts"),
        ({"trained_on": {"contrasts": ["T1w"], "cohorts": {"a": {"train": 2}}}}, "trained_on: "),
        ({"format": 3}, "format: found 3; this version reads 1 to 2"),
        ({"files": {**GOOD["files"], "weights.safetensors": 3}}, "found 3; must be a digest"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_though_its_digest_is_right(tmp_path, changes, said):
    write_record(tmp_path / "approach.json", GOOD | changes)
    with pytest.raises(BundleError) as raised:
        read_record(tmp_path / "approach.json", "p")
    assert said in str(raised.value) and "approach.json" in str(raised.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ["postprocessing: lacks erosion, median, minimum_voxels"]),
        ({**POST, "prior": "none", "median": "x"}, ["median: found 'x'; must be a whole number"]),
        ({**POST, "erosion": -3}, ["erosion: found -3; must be a whole number of at least 0"]),
        ({**POST, "erosion": 1.0}, ["erosion: found 1.0; must be a whole number"]),
        ({**POST, "erosion": True}, ["erosion: found True; must be a whole number"]),
        ({**POST, "minimum_voxels": None}, ["minimum_voxels: found None; must be a whole number"]),
        ({**POST, "median": 4}, ["postprocessing.median: found 4; must be odd"]),
        ({**POST, "median": 10**6 + 1}, ["postprocessing.median: found 1000001; must be"]),
        ({**POST, "prior": "bright"}, ["prior: found 'bright'; allowed: none, hyperintense"]),
        ({**POST, "prior": []}, ["postprocessing.prior: found []; allowed: none"]),
        (
            {**POST, "eroson": 1},
            ["eroson: unknown key (did you mean 'erosion'?); allowed: erosion"],
        ),
        ({"erosion": [], "median": 2, "prior": 1}, ["lacks min", "found []", "odd", "found 1;"]),
    ],
)
def test_postprocessing_has_the_ranges_of_protocols(tmp_path, given, said):
    write_record(tmp_path / "approach.json", GOOD | {"postprocessing": given})
    with pytest.raises(BundleError) as raised:
        read_record(tmp_path / "approach.json", "p")
    lines = str(raised.value).splitlines()[1:]
    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines)), lines


def test_a_bundle_of_the_first_format_is_read_still(tmp_path):
    write_record(tmp_path / "approach.json", GOOD)
    content = read_record(tmp_path / "approach.json", "p")
    del content["format"], content["digest"]
    write_json(tmp_path / "approach.json", {**content, "digest": value_digest(content)})
    assert read_record(tmp_path / "approach.json", "p") == {
        **content,
        "digest": value_digest(content),
    }


def test_what_was_edited_is_refused(tmp_path):
    path = tmp_path / "approach.json"
    write_record(path, GOOD)
    content = json.loads(path.read_text())
    content["thresholds"]["none"]["best_dice"]["threshold"] = 0.4
    path.write_text(json.dumps(content))
    with pytest.raises(BundleError, match="was changed since it was exported"):
        read_record(path, "p")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "is a list and no mapping"),
        ("null", "is None and no mapping"),
        ("{", "not a JSON file"),
        ("{}", "lacks protocol, title"),
    ],
)
def test_what_is_no_record_at_all_is_refused(tmp_path, text, said):
    (tmp_path / "approach.json").write_text(text)
    with pytest.raises(BundleError, match=said):
        read_record(tmp_path / "approach.json", "p")


def test_all_problems_come_at_once(tmp_path):
    write_record(tmp_path / "approach.json", GOOD | {"protocol": "q", "detector": "no"})
    with pytest.raises(BundleError) as raised:
        read_record(tmp_path / "approach.json", "p")
    assert len(str(raised.value).splitlines()) == 3
