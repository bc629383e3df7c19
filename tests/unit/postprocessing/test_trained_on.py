"""What a bundle says of its training."""

from normscan.postprocessing.trained_on import trained_on


def description(train, validation, **more):
    scans = {"train": dict.fromkeys(train, {}), "validation": dict.fromkeys(validation, {})}
    return {"inputs": ["FLAIR"], "targets": ["FLAIR"], "scans": {**scans, **more}}


def test_scans_of_all_models_are_counted_once():
    own = description(["ixi/sub-1", "ixi/sub-2"], ["ixi/sub-3"])
    own["scans"]["train, teacher"] = {"ms/sub-1": {}, "ixi/sub-2": {}}
    used = description(["ixi/sub-1", "ixi/sub-4"], ["ixi/sub-2"])
    used["targets"] = ["T1w"]
    found = trained_on([own, used], {"ixi": [20.0, 81.5]})
    assert found["contrasts"] == ["FLAIR", "T1w"]
    assert found["cohorts"] == {
        "ixi": {"train": 3, "validation": 1, "ages": [20.0, 81.5]},
        "ms": {"train": 1, "validation": 0, "ages": None},
    }


def test_what_has_no_model_was_trained_on_nothing():
    assert trained_on([], {}) == {"contrasts": [], "cohorts": {}}
