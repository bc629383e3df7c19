"""A synthetic cohort in a real run: hosts are simulated, pasted on, checked, trained on never."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas
import pytest

from bids_validation import bids_errors, needs_validator
from normscan.files import load_nifti
from tiny_study import Workflow

pytestmark = pytest.mark.workflow
SUBJECTS = "results/cohorts/healthy/subjects.tsv"
CHECKED = "results/cohorts/checked.json"
BALLS = {"hosts": "healthy", "subjects": 1, "masks": "spheres", "radius": [10, 12]}


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> Workflow:
    """A study with spheres on one of its healthy scans, run as far as the check of all cohorts."""
    workflow = Workflow(tmp_path_factory.mktemp("synthetic"))
    workflow.shrink()
    cohorts = workflow.config["cohorts"]
    cohorts["healthy"]["simulation"].update(contrasts=["FLAIR"])
    cohorts["balls"] = {"source": "synthetic", "validation": 0, "synthetic": dict(BALLS)}
    workflow.write()
    workflow.run(CHECKED, SUBJECTS)
    return workflow


def host(workflow) -> str:
    pairs = pandas.read_csv(workflow.results / "synthetic/balls/00.tsv", sep="\t")
    (scan,) = pairs["scan"]
    assert list(pairs["host"]) == [f"healthy/{scan}"]
    return scan


def truth(workflow, scan: str):
    folder = workflow.results / "synthetic/balls/derivatives/truth" / scan / "anat"
    return folder / f"{scan}_label-lesion_dseg.nii.gz"


def test_a_host_is_in_no_table_of_healthy_subjects(synthetic):
    table = pandas.read_csv(synthetic.folder / SUBJECTS, sep="\t")
    assert len(table) == 2 and host(synthetic) not in set(table["scan"])
    checks = (synthetic.results / "checks" / "healthy").iterdir()
    reports = [json.loads(path.read_text())["reports"] for path in checks]
    seen = [one["scan"] for found in reports for one in found]
    assert sorted(seen) == sorted(table["scan"])


def test_the_lesion_is_all_that_is_new(synthetic):
    scan = host(synthetic)
    name = f"{scan}/anat/{scan}_FLAIR.nii.gz"
    before, after = (
        load_nifti(synthetic.results / kind / name)[0]
        for kind in ("simulated/healthy", "synthetic/balls")
    )
    labels, _ = load_nifti(truth(synthetic, scan), np.int32)
    assert labels.any() and (before != after)[labels != 0].mean() > 0.9
    assert before[labels == 0].tobytes() == after[labels == 0].tobytes()


@needs_validator
def test_pasted_scans_are_a_bids_derivative(synthetic):
    folder = synthetic.results / "synthetic/balls"
    assert json.loads((folder / "FLAIR.json").read_text()) == {"SkullStripped": True}
    assert bids_errors(folder) == []


def test_nothing_is_left_to_do_and_other_settings_paste_again(synthetic):
    assert synthetic.counts(CHECKED) == {}
    synthetic.config["cohorts"]["balls"]["synthetic"]["strength"] = 0.8
    synthetic.write()
    again = synthetic.counts(CHECKED)
    synthetic.config["cohorts"]["balls"]["synthetic"] = dict(BALLS)
    synthetic.write()
    assert again == {"paste_anomalies": 1, "check_scans": 1, "check_cohorts": 1}


def test_a_host_under_another_name_is_found(synthetic):
    """The pasted image is another one; what counts is the host's own."""
    scan = host(synthetic)
    other = synthetic.folder / "data" / "copies" / "sub-77" / "anat"
    other.mkdir(parents=True)
    image = synthetic.results / f"simulated/healthy/{scan}/anat/{scan}_FLAIR.nii.gz"
    shutil.copy(image, other / "sub-77_FLAIR.nii.gz")
    shutil.copy(truth(synthetic, scan), other / "sub-77_label-lesion_dseg.nii.gz")
    copies = {"role": "patients", "source": "bids", "path": "data/copies", "validation": 0}
    synthetic.config["cohorts"]["copies"] = copies
    synthetic.write()
    try:
        said = synthetic.fails(CHECKED)
    finally:
        del synthetic.config["cohorts"]["copies"]
        synthetic.write()
    assert f"copies/sub-77 FLAIR (role patients) has the same content as balls/{scan} FLAIR" in said
    assert "without lesion (role patients)" in said
