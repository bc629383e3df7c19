"""The subject that histograms are matched to: one healthy training subject, or a clear refusal."""

from types import SimpleNamespace

import pandas
import pytest
from made_studies import load, plan, protocol, wildcards

from normscan.cohorts.splits import assign_splits, last_in_order
from normscan.errors import ConfigError, NormscanError
from normscan.preprocessing.match_histogram import reference_files
from normscan.workflow.recipes import recipe


def matching(**settings):
    return protocol(preprocessing=[{"register": {}}, {"match_histogram": settings}])


def drawn(study):
    return study.protocols["p0"].steps[1].settings["reference"]


def test_a_training_subject_is_drawn_by_the_seed_of_the_splits(tmp_path):
    found = {drawn(load(tmp_path, matching(), split={"seed": seed})) for seed in range(5)}
    assert len(found) > 1 and {one.partition("/")[0] for one in found} == {"ixi"}
    assert drawn(load(tmp_path, matching(), split={"seed": 3})) in found


@pytest.mark.parametrize("validation", [1, 4, 0.5])
def test_what_is_drawn_is_never_a_validation_subject(validation):
    subjects = [f"{number:02d}" for number in range(9)]
    for seed in range(20):
        splits = assign_splits(
            subjects, "healthy", {}, seed=seed, cohort="ixi", validation=validation
        )
        assert splits[last_in_order(subjects, seed, "ixi")] == "train"


def test_it_is_one_that_the_protocol_trains_on(tmp_path):
    other = matching() | {"training": {"cohorts": ["oasis"]}}
    assert drawn(load(tmp_path, other)).startswith("oasis/")


def test_the_label_of_the_step_says_which_and_the_recipe_what_was_written(tmp_path):
    study = load(tmp_path, matching(), matching(reference="ixi/sub-02"))
    labels = {name: one.steps[1].label for name, one in study.protocols.items()}
    assert labels["p0"].startswith("match_histogram-") and labels["p0"] != labels["p1"]
    assert recipe(study.protocols["p0"])["steps"][1]["reference"] == "healthy"


def test_the_plan_takes_the_shard_of_the_reference_and_its_splits(tmp_path):
    made = plan(tmp_path, matching(reference="ixi/sub-03"), shard_size=2)
    step = made.preprocessing.chain["p0"].rpartition("+")[2]
    w = SimpleNamespace(**vars(wildcards(made)), parent="raw+register-affine-robex", step=step)
    shards = made.cohorts.shards["ixi"]
    (shard,) = [one for one, scans in shards.items() if "sub-03" in {scan.id for scan in scans}]
    assert made.preprocessing.histogram_reference(w).endswith(f"/ixi/{shard}.json")
    assert made.preprocessing.histogram_subjects(w).endswith("/ixi/subjects.tsv")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (
            "nowhere.nii.gz",
            "found 'nowhere.nii.gz', which is no scan of any cohort; write 'healthy'",
        ),
        ("ixi/sub-99", "cohort 'ixi' has no scan 'sub-99'; write 'healthy'"),
        ("gliomas/sub-01", "a scan of role 'patients'; it must be a healthy one"),
        ("healty", "found 'healty', which is no scan"),
    ],
)
def test_what_cannot_be_the_reference_is_refused_when_the_run_is_planned(
    tmp_path, reference, words
):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, matching(reference=reference))
    (line,) = str(error.value).splitlines()[1:]
    assert "protocol 'p0'.preprocessing[1].match_histogram.reference" in line and words in line


def test_without_healthy_cohorts_there_is_nothing_to_draw_from(tmp_path):
    bare = matching() | {"models": {}, "approaches": {"intensity": {"detector": "intensity"}}}
    with pytest.raises(ConfigError, match="no cohort of role 'healthy' to draw from"):
        load(tmp_path, bare, cohorts=("ms", "gliomas"))


def manifest(*scans, excluded=()):
    entries = [{"scan": scan, "images": {"T2w": f"{scan}.nii"}, "brain": "b.nii"} for scan in scans]
    return {"scans": entries, "excluded": [{"scan": s, "reason": "too dark"} for s in excluded]}


@pytest.mark.parametrize(
    ("split", "excluded", "words"),
    [
        ("validation", (), "'ixi/sub-1' is of split 'validation', not one that models are trained"),
        ("train", ("sub-1",), "'ixi/sub-1' was left out: too dark; name another healthy training"),
    ],
)
def test_a_reference_that_is_missing_or_validates_is_refused_by_its_name(split, excluded, words):
    subjects = pandas.DataFrame({"scan": ["sub-1", "sub-2"], "split": [split, "train"]})
    there = manifest("sub-2", *(() if excluded else ("sub-1",)), excluded=excluded)
    with pytest.raises(NormscanError) as error:
        reference_files("ixi/sub-1", there, subjects)
    assert words in str(error.value) and "\n" not in str(error.value)
    found = reference_files("ixi/sub-2", there, subjects)
    assert found == ({"T2w": "sub-2.nii"}, "b.nii")
