"""One scan by one command: its cohort, its name, its contrasts, what has to be said."""

import json

import pytest
import yaml
from made_studies import PROTOCOL, put_down

from made_dicom import write_series
from normscan.errors import ConfigError
from normscan.workflow.configuration import load_study
from normscan.workflow.one_scan import lasting, other_scan, with_scan
from normscan.workflow.plan import Plan


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def made(folder, scan, **more):
    """(name, entry) of the cohort of one."""
    config, name = with_scan({"scan": scan, **more}, folder)
    assert set(config) <= {"cohorts", "screening", "results"}
    return name, config["cohorts"][name]


def refused(folder, *fragments, **config):
    with pytest.raises(ConfigError) as error:
        with_scan(config, folder)
    for fragment in fragments:
        assert fragment in str(error.value)


@pytest.mark.parametrize(
    ("file", "name", "contrast"),
    [
        ("data/sub-01_ses-2_FLAIR.nii.gz", "sub-01_ses-2", "FLAIR"),
        ("sub-01_ce-gd_T1w.nii", "sub-01_ce-gd", "T1ce"),
        ("patient 7/flair.nii.gz", "patient-7", "FLAIR"),
        ("Miller (2)_t2w.nii.gz", "Miller-2-", "T2w"),
        ("_PDw.nii.gz", "case", "PD"),
        ("sub-3/anat/FLAIR.nii.gz", "sub-3", "FLAIR"),
    ],
)
def test_name_and_contrast_come_from_the_file(tmp_path, file, name, contrast):
    path = touch(tmp_path / "case" / file)
    entry = {"source": "files", "images": {contrast: str(path)}, "role": "unlabelled"}
    about = {"prior": "none", "skull_stripped": False}
    assert made(tmp_path, f"case/{file}") == (name, entry | about)


def test_several_contrasts(tmp_path):
    paths = {"FLAIR": touch(tmp_path / "sub-9_a.nii.gz"), "T1w": touch(tmp_path / "b.nii.gz")}
    name, entry = made(tmp_path, {key: path.name for key, path in paths.items()})
    assert name == "sub-9_a" and entry["images"] == {k: str(path) for k, path in paths.items()}


@pytest.mark.parametrize("inside", ["", "anat"])
def test_a_folder_of_one_scan(tmp_path, inside):
    for file in ("x_FLAIR.nii.gz", "x_T1w.nii.gz", "x_desc-brain_mask.nii.gz", "note.txt"):
        touch(tmp_path / "visit" / inside / file)
    name, entry = made(tmp_path, "visit")
    assert name == "visit" and sorted(entry["images"]) == ["FLAIR", "T1w"]
    touch(tmp_path / "visit" / inside / "y_FLAIR.nii.gz")
    refused(tmp_path, "has two files for FLAIR, x_FLAIR.nii.gz and y_FLAIR", scan="visit")


def test_a_folder_of_dicom(tmp_path):
    write_series(tmp_path / "visit 3" / "5", "t2_FLAIR")
    write_series(tmp_path / "visit 3" / "6", "T1 mprage", 6)
    refused(
        tmp_path,
        "say which series is which contrast",
        "there are: 5 't2_FLAIR' (12 files), 6 'T1 mprage' (12 files)",
        scan="visit 3",
    )
    name, entry = made(tmp_path, "visit 3", series={"FLAIR": "flair"})
    assert name == "visit-3"
    assert (entry["source"], entry["single"]) == ("dicom", True)
    assert entry["series"] == {"FLAIR": "flair"}


def test_what_cannot_be_found_is_asked_for(tmp_path):
    touch(tmp_path / "brain.nii.gz"), touch(tmp_path / "a.img")
    (tmp_path / "empty").mkdir()
    touch(tmp_path / "unnamed" / "brain.nii.gz")
    touch(tmp_path / "notes" / "a.txt")
    say = "say which it is: --config scan='{FLAIR: brain.nii.gz}'"
    refused(tmp_path, "its name ends in no contrast (T1w, ", say, scan="brain.nii.gz")
    refused(tmp_path, "is no NIfTI file; of DICOM, name its folder", scan="a.img")
    refused(tmp_path, "gone: no such file or folder", scan="gone")
    refused(tmp_path, "neither NIfTI nor DICOM files", scan="empty")
    refused(tmp_path, "neither NIfTI nor DICOM images", scan="notes")
    refused(tmp_path, "no file's name ends in a contrast", "which is which", scan="unnamed")


def test_wrong_values(tmp_path):
    scan = str(touch(tmp_path / "sub-1_FLAIR.nii.gz"))
    refused(tmp_path, "config.prior: found 'bright'", scan=scan, prior="bright")
    refused(tmp_path, "config.skull_stripped: found 'maybe'", scan=scan, skull_stripped="maybe")
    refused(tmp_path, "config.prior: is said of a scan; name it with 'scan'", prior="none")
    refused(tmp_path, "would be called 'sub-1', as is a cohort", scan=scan, cohorts={"sub-1": {}})


@pytest.mark.parametrize(("said", "meant"), [("true", True), (True, True), ("no", False)])
def test_skull_stripped_may_be_said(tmp_path, said, meant):
    touch(tmp_path / "sub-1_FLAIR.nii.gz")
    assert made(tmp_path, "sub-1_FLAIR.nii.gz", skull_stripped=said)[1]["skull_stripped"] is meant


@pytest.mark.parametrize(
    ("thresholds", "prior"),
    [
        ([], "none"),
        ([["hyperintense"]], "hyperintense"),
        ([["hyperintense", "none"]], "none"),
        ([["hyperintense", "hypointense"], ["hypointense"]], "hypointense"),
        ([["hyperintense", "hypointense"]], ""),
    ],
)
def test_without_a_prior_it_is_the_one_that_bundles_know(tmp_path, thresholds, prior):
    touch(tmp_path / "sub-1_FLAIR.nii.gz")
    for number, priors in enumerate(thresholds):
        path = touch(tmp_path / f"results/bundles/p/a{number}/seed-0/approach.json")
        path.write_text(json.dumps({"thresholds": dict.fromkeys(priors, {})}))
    touch(tmp_path / "results/bundles/p/broken/seed-0/approach.json")
    if prior:
        assert made(tmp_path, "sub-1_FLAIR.nii.gz")[1]["prior"] == prior
        said = made(tmp_path, "sub-1_FLAIR.nii.gz", prior="hypointense")
        assert said[1]["prior"] == "hypointense"
    else:
        fragment = "config.prior: say the sign of what is sought: --config prior=hyperintense or"
        refused(tmp_path, fragment, scan="sub-1_FLAIR.nii.gz")


def study(folder, **more):
    for name, contrasts in (("p", ["T1w", "FLAIR"]), ("q", ["FLAIR"])):
        approaches = {"intensity": {"detector": "intensity"}}
        content = {**PROTOCOL, "contrasts": contrasts, "models": {}, "approaches": approaches}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    cohorts = {
        "healthy": put_down(folder, "healthy", "healthy", 4),
        "new": put_down(folder, "new", "unlabelled", 1),
    }
    config = {"protocols": ["p.yaml", "q.yaml"], "cohorts": cohorts, **more}
    if "scan" in more:
        config["skull_stripped"] = True
    return load_study(config, folder, folder)


def test_only_the_scan_is_screened_and_the_report_does_not_know_it(tmp_path):
    touch(tmp_path / "sub-01_FLAIR.nii.gz")
    touch(tmp_path / "sub-01_T1w.nii.gz")
    without = study(tmp_path)
    files = {one: f"sub-01_{one}.nii.gz" for one in ("FLAIR", "T1w")}
    found = study(tmp_path, scan=files, prior="hyperintense")
    cohort = found.cohorts["sub-01"]
    assert (cohort.role, cohort.prior) == ("unlabelled", "hyperintense")
    assert [scan.id for scan in cohort.scans] == ["sub-01"]
    assert Plan(found).screening.pages() == ["results/screening/sub-01/index.html"]
    assert Plan(without).screening.pages() == ["results/screening/new/index.html"]
    assert found.source == without.source
    run, other = (Plan(one).report.run_record() for one in (found, without))
    assert run == other


def test_what_one_scan_is_screened_with_is_none_of_the_report(tmp_path):
    config = {"title": "t", "screening": {"approaches": ["p/a"]}}
    asked = {"scan": "a.nii.gz", "prior": "none", "screening": {"approaches": ["p/b"]}}
    assert lasting({**config, **asked}, config) == config
    assert lasting({"title": "t", **asked}, {"title": "t"}) == {"title": "t"}
    # Without a scan, it is of the cohorts of the study.
    assert lasting({**config, "screening": {}}, config)["screening"] == {}


def test_another_scan_of_the_same_name_is_not_replaced_unasked(tmp_path):
    mine, other = (touch(tmp_path / one / "sub-1_FLAIR.nii.gz") for one in ("a", "b"))
    name, entry = made(tmp_path, "a/sub-1_FLAIR.nii.gz")
    results = tmp_path / "results"
    assert other_scan(results, name, entry) == ""
    manifest = touch(results / "preprocessed/raw/sub-1/00.json")
    for path, said in ((mine, ""), (other, f"is of another scan, {other}; rename this one, or")):
        manifest.write_text(json.dumps({"scans": [{"images": {"FLAIR": str(path)}}]}))
        found = other_scan(results, name, entry)
        assert said in found and bool(found) == bool(said)
    with pytest.raises(ConfigError, match="is of another scan"):
        study(tmp_path, scan="a/sub-1_FLAIR.nii.gz")
    write_series(tmp_path / "visit", "FLAIR")
    name, entry = made(tmp_path, "visit", series={"FLAIR": "flair"})
    converted = touch(results / "converted/visit/00.json")
    for folder, same in ((entry["path"], True), ("/elsewhere", False)):
        converted.write_text(json.dumps({"sub-visit": {"folder": folder}}))
        assert (other_scan(results, name, entry) == "") is same


def test_contrasts_are_those_of_the_approaches_that_are_named(tmp_path):
    touch(tmp_path / "sub-01_FLAIR.nii.gz")
    with pytest.raises(ConfigError, match="sub-01: has no T1w, which the protocols need"):
        study(tmp_path, scan="sub-01_FLAIR.nii.gz")
    chosen = {"screening": {"approaches": ["q/intensity"]}}
    plan = Plan(study(tmp_path, scan="sub-01_FLAIR.nii.gz", **chosen))
    assert plan.cohorts.needed_contrasts("sub-01") == ["FLAIR"]
    assert plan.cohorts.needed_contrasts("healthy") == ["FLAIR", "T1w"]
