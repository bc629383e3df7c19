"""A cohort of DICOM series in a real run: converted, checked, converted again only when new."""

from __future__ import annotations

import json
import os

import pytest

from bids_validation import bids_errors, needs_validator
from made_dicom import volume, write_series
from tiny_study import Workflow

pytestmark = pytest.mark.workflow
CHECKED = "results/cohorts/clinic/checked.json"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory) -> Workflow:
    """Patients, and two subjects to screen; of one a slice is missing."""
    workflow = Workflow(tmp_path_factory.mktemp("dicom"))
    workflow.without_models()
    workflow.config["cohorts"]["clinic"] = {
        "source": "dicom",
        "path": "data/clinic",
        "role": "unlabelled",
        "series": {"FLAIR": "flair"},
        "prior": "hyperintense",
    }
    workflow.write()
    folder = workflow.folder / "data" / "clinic"
    write_series(folder / "P-1" / "5", "t2_FLAIR")
    write_series(folder / "P-1" / "6", "T1 mprage", 6)
    write_series(folder / "P-2" / "7", "t2_FLAIR", data=volume(seed=2), without=(6,))
    return workflow


def test_bad_series_come_with_all_other_problems(clinic):
    said = clinic.fails(CHECKED)
    assert "the cohorts have 1 problem; nothing was started" in said
    assert "cohort 'clinic': sub-P2: FLAIR: " in said
    assert "series 5 't2_FLAIR' (11 files): its slices are not equally spaced" in said
    assert "no such file" not in said


def test_they_are_left_out_and_what_was_converted_is_kept(clinic):
    clinic.config["on_bad_scan"] = "exclude"
    clinic.write()
    made = clinic.results / "converted/clinic/sub-P1/anat/sub-P1_FLAIR.nii.gz"
    before = made.stat().st_mtime_ns
    clinic.run(CHECKED)
    excluded = json.loads((clinic.folder / CHECKED).read_text())["excluded"]["clinic"]
    assert list(excluded) == ["sub-P2"]
    assert made.stat().st_mtime_ns == before
    assert not list((clinic.results / "converted").rglob(".dicom-*"))


@needs_validator
def test_converted_scans_are_a_raw_bids_folder(clinic):
    folder = clinic.results / "converted/clinic"
    content = json.loads((folder / "dataset_description.json").read_text())
    assert content["DatasetType"] == "raw" and bids_errors(folder) == []


def test_only_what_is_new_is_converted(clinic):
    clinic.run(CHECKED)
    folder = clinic.folder / "data" / "clinic"
    for path in folder.rglob("*.dcm"):
        os.utime(path)
    assert clinic.counts(CHECKED) == {}
    write_series(folder / "P-3", "t2_FLAIR", data=volume(seed=3))
    made = clinic.results / "converted/clinic/sub-P3/anat/sub-P3_FLAIR.nii.gz"
    assert set(clinic.counts(CHECKED)) == {
        "convert_dicom",
        "check_scans",
        "check_screened_cohort",
    }
    clinic.run(CHECKED)
    assert made.is_file()
