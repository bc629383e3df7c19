"""What is said of pseudo-labels before a training: how many, by whom, or that there are none."""

import logging

import pytest

from normscan.errors import TrainingError
from normscan.files import read_json, write_json
from normscan.training.taught import described_labels


def manifest(folder, shard, voxels, digest="a", cohort="ms"):
    path = folder / f"{cohort}-{shard}.json"
    content = {
        "protocol": "p", "variant": "vae@50pct", "cohort": cohort, "shard": shard,
        "threshold_rule": "healthy_fpr_0.05", "threshold": 0.3125,
        "arrays": {"pseudo": "x.npy"}, "digests": [digest],
        "scans": {scan: {"first": 0, "count": 1, "voxels": n} for scan, n in voxels.items()},
    }  # fmt: skip
    write_json(path, content)
    return path


def test_scans_of_the_training_are_counted_also_those_without_any(tmp_path, caplog):
    paths = [
        manifest(tmp_path, "00", {"sub-1": 7, "sub-2": 0, "sub-3": 90}),
        manifest(tmp_path, "01", {"sub-4": 5}),
    ]
    with caplog.at_level(logging.INFO, "normscan"):
        found = described_labels(paths, ["ms/sub-1", "ms/sub-2", "ms/sub-4"])
    assert found.pop("digest")
    assert found == {
        "approach": "p/vae@50pct",
        "rule": "healthy_fpr_0.05",
        "thresholds": {"ms": 0.3125},
        "scans": 3,
        "scans_without": 1,
        "voxels": 12,
    }
    assert "12 voxels in 2 of 3 scans" in caplog.text


def test_labels_of_other_content_have_another_digest(tmp_path):
    first = described_labels([manifest(tmp_path, "00", {"sub-1": 7})], ["ms/sub-1"])
    other = described_labels([manifest(tmp_path, "00", {"sub-1": 7}, "b")], ["ms/sub-1"])
    assert first["digest"] != other["digest"]


def test_no_label_at_all_is_an_error_that_says_what_to_do(tmp_path):
    path = manifest(tmp_path, "00", {"sub-1": 0, "sub-2": 0, "sub-3": 90})
    with pytest.raises(TrainingError) as error:
        described_labels([path], ["ms/sub-1", "ms/sub-2"])
    for part in (
        "any of 2 training scans",
        "'p/vae@50pct'",
        "'healthy_fpr_0.05'",
        "threshold 0.3125 in ms",
        "Name another approach or a rule",
        "minimum_voxels",
    ):
        assert part in str(error.value)


def test_a_rule_per_slice_has_no_threshold_to_say(tmp_path):
    path = manifest(tmp_path, "00", {"sub-1": 0})
    write_json(path, {**read_json(path), "threshold": None})
    with pytest.raises(TrainingError, match="threshold per slice in ms"):
        described_labels([path], ["ms/sub-1"])
