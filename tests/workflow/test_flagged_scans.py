"""A scan that quality control flags: nothing is packed, it is left out, or it is marked."""

from __future__ import annotations

import json

import nibabel
import pytest

pytestmark = pytest.mark.workflow
FLAGGED = "sub-03"


def shrink(workflow, subject: str) -> None:
    """Make a person's head so small that no brain of an adult fits in."""
    for path in (workflow.folder / "data" / "ms").rglob(f"{subject}_*.nii.gz"):
        image = nibabel.load(path)
        data, affine = image.get_fdata(), image.affine.copy()
        affine[:3] *= 0.7
        nibabel.save(nibabel.Nifti1Image(data.astype(image.get_data_dtype()), affine), path)


def jobs_by_rule(workflow, *arguments: str) -> dict[str, set[str | None]]:
    """Rule -> cohorts of its jobs, as a dry run names them."""
    found: dict[str, set[str | None]] = {}
    for rule, wildcards in workflow.planned(*arguments):
        found.setdefault(rule, set()).add(wildcards.get("cohort"))
    return found


def test_preparing_packs_and_measures_every_cohort_and_trains_nothing(workflow):
    jobs = jobs_by_rule(workflow, "prepare")
    assert jobs["check_quality"] == jobs["pack_slices"] == {"healthy", "ms", "new"}
    assert not {"train", "detect", "screen_scans", "check_flags"} & set(jobs)


def test_one_command_opens_every_file_and_does_nothing_more(workflow):
    """As docs/first-run.md says, with and without cohorts to screen."""
    command = ("prepare", "--until", "check_cohorts", "check_screened_cohort")
    jobs = jobs_by_rule(workflow, *command)
    assert jobs.pop("check_scans") == {"healthy", "ms", "new"}
    assert jobs.pop("simulate") == {"healthy", "new"}
    assert jobs == {"check_cohorts": {None}, "check_screened_cohort": {"new"}}
    workflow.config["cohorts"].pop("new")
    workflow.write()
    assert set(jobs_by_rule(workflow, *command)) == {"simulate", "check_scans", "check_cohorts"}


def test_a_flagged_scan_acts_before_anything_is_packed(workflow):
    shrink(workflow, FLAGGED)
    workflow.without_models()
    workflow.config["on_flagged"] = "stop"
    workflow.write()
    said = workflow.fails("all")
    assert f"WARNING flagged by quality control, protocol tiny: {FLAGGED}: brain_ml" in said
    assert "quality control flagged 1 scan; nothing was packed or trained" in said
    assert f"cohort 'ms', protocol tiny: {FLAGGED}: brain_ml" in said
    assert not (workflow.results / "slices").exists()

    workflow.config["on_flagged"] = "exclude"
    workflow.write()
    workflow.run("all")
    packed, left_out = set(), {}
    for path in (workflow.results / "slices").rglob("ms/*.json"):
        index = json.loads(path.read_text())
        packed |= {one["scan"] for one in index["scans"]}
        left_out |= {one["scan"]: one["reason"] for one in index["excluded"]}
    assert packed == {"sub-01", "sub-02"}
    assert left_out[FLAGGED].startswith("quality control: brain_ml")
    assert FLAGGED not in (workflow.results / "metrics.tsv").read_text()
    report = (workflow.results / "report.html").read_text()
    assert "quality control, protocol tiny: brain_ml" in report
    assert "Flagged by quality control, and left out: 1 scan of this cohort" in report
    assert workflow.counts("all") == {}

    workflow.config["on_flagged"] = "continue"
    workflow.write()
    counts = workflow.counts("all")
    assert counts["pack_slices"] == 1 and not {"check_quality", "check_flags"} & set(counts)
