"""Bad input stops before anything long, with one list that names subjects, files and keys."""

from __future__ import annotations

import json
import shutil

import nibabel
import numpy as np
import pytest

pytestmark = pytest.mark.workflow


def flair(workflow, subject: str):
    return (
        workflow.folder / "data" / "ms" / f"sub-{subject}" / "anat" / f"sub-{subject}_FLAIR.nii.gz"
    )


def truth(workflow, subject: str):
    folder = workflow.folder / "data" / "ms" / "derivatives" / "truth" / f"sub-{subject}" / "anat"
    return folder / f"sub-{subject}_label-lesion_dseg.nii.gz"


def spoil(workflow) -> None:
    """Three kinds of damage in one cohort."""
    path = flair(workflow, "01")
    path.write_bytes(path.read_bytes()[:2000])
    image = nibabel.load(flair(workflow, "02"))
    data = image.get_fdata().astype(np.float32)
    data[5, 5, 5] = np.nan
    nibabel.save(nibabel.Nifti1Image(data, image.affine), flair(workflow, "02"))
    image = nibabel.load(truth(workflow, "03"))
    empty = np.zeros(image.shape, np.uint8)
    nibabel.save(nibabel.Nifti1Image(empty, image.affine), truth(workflow, "03"))


def test_all_problems_of_all_files_come_in_one_list_before_anything_long(workflow):
    workflow.without_models()
    spoil(workflow)
    output = workflow.fails("all")
    for part in (
        "sub-01_FLAIR.nii.gz",
        "truncated",
        "sub-02_FLAIR.nii.gz",
        "NaN",
        "sub-03",
        "empty",
    ):
        assert part in output
    started = {path.name for path in (workflow.results / "preprocessed").iterdir()}
    assert started == {"raw"}


def test_bad_scans_are_left_out_on_request_and_the_report_says_so(workflow):
    path = flair(workflow, "01")
    path.write_bytes(path.read_bytes()[:2000])
    workflow.without_models()
    workflow.config["on_bad_scan"] = "exclude"
    workflow.write()
    workflow.run("all")
    report = (workflow.results / "report.html").read_text()
    assert "sub-01" in report and "truncated" in report
    assert "sub-01" not in {
        path.name for path in (workflow.results / "detections").rglob("sub-*") if path.is_dir()
    }


def test_the_same_scan_in_training_and_test(workflow):
    workflow.shrink()
    workflow.config["cohorts"]["twin"] = {
        "role": "healthy",
        "source": "bids",
        "path": "data/ms",
        "skull_stripped": True,
    }
    workflow.write()
    # Of one folder it is seen when the run is planned, of two when files are read.
    assert "cohorts 'ms' and 'twin' share sub-01, sub-02, sub-03" in workflow.fails("all")
    shutil.copytree(workflow.folder / "data/ms", workflow.folder / "data/twin")
    workflow.config["cohorts"]["twin"]["path"] = "data/twin"
    workflow.write()
    output = workflow.fails("all")
    assert "the same content as" in output
    assert "twin/sub-01" in output and "ms/sub-01" in output
    # The same scans to be screened: those that are evaluated, and those that models are trained on.
    originals = {"twin": ("data/ms", "ms"), "clone": ("results/simulated/healthy", "healthy")}
    for name, (path, _) in originals.items():
        twin = {**workflow.config["cohorts"]["twin"], "role": "unlabelled", "path": path}
        workflow.config["cohorts"][name] = twin
    gates = [f"results/cohorts/{name}/checked.json" for name in originals]
    workflow.write()
    output = workflow.fails("--keep-going", *gates)
    for name, (_, original) in originals.items():
        line = f"cohort '{name}': sub-01: its FLAIR has the same content as {original}/sub-01"
        assert line in output
    workflow.config["on_bad_scan"] = "exclude"
    workflow.write()
    workflow.run(*gates)
    excluded = json.loads((workflow.folder / gates[1]).read_text())["excluded"]["clone"]
    assert set(excluded) == {"sub-01", "sub-02", "sub-03"} and "trained" in excluded["sub-02"]


@pytest.mark.parametrize(
    ("key", "value", "parts"),
    [
        (("seedz",), [0], ["config.seedz", "did you mean 'seeds'"]),
        (("cohorts", "ms", "role"), "patient", ["cohorts.ms.role", "'patient'", "patients"]),
        (("cohorts", "ms", "path"), "nowhere", ["ms", "nowhere"]),
        (("cohorts", "ms", "exclude"), ["sub-77"], ["sub-77"]),
        (("cohorts", "healthy", "simulation", "subjects"), 1, ["cohorts.healthy", "not enough"]),
        (("protocols",), ["tinny"], ["tinny", "did you mean 'tiny'"]),
        (("cohorts", "ms", "contrasts"), ["Flair"], ["Flair", "did you mean 'FLAIR'"]),
        (("cohorts", "ms", "contrasts"), ["T1w"], ["sub-01", "FLAIR"]),
    ],
)
def test_configuration_errors_name_the_key(workflow, key, value, parts):
    place = workflow.config
    for name in key[:-1]:
        place = place[name]
    place[key[-1]] = value
    workflow.write()
    output = workflow.fails("--dry-run", "all")
    for part in parts:
        assert part in output, output[-3000:]


@pytest.mark.parametrize(
    ("section", "name", "entry", "parts"),
    [
        ("models", "vae", {"family": "va"}, ["models.vae.family", "did you mean 'vae'"]),
        ("models", "vae", {"family": "vae", "latend": 3}, ["latend", "did you mean 'latent'"]),
        (
            "approaches",
            "ae",
            {"model": "ae", "detector": "restoration"},
            ["approaches.ae.model", "cannot elbo"],
        ),
        (
            "approaches",
            "ae",
            {"model": "wide_ae", "detector": "montecarlo"},
            ["cannot sample", "models.wide_ae.bottleneck 'spatial'", "has no dropout"],
        ),
        ("approaches", "ae", {"model": "nope", "detector": "reconstruction"}, ["nope", "ae, vae"]),
        ("approaches", "ae", {"model": "ae", "detector": "recon"}, ["detector", "recon"]),
    ],
)
def test_an_approach_that_cannot_work_is_refused(workflow, section, name, entry, parts):
    workflow.protocol["models"]["wide_ae"] = {"family": "ae", "bottleneck": "spatial"}
    workflow.protocol[section][name] = entry
    workflow.write()
    output = workflow.fails("--dry-run", "all")
    for part in parts:
        assert part in output, output[-3000:]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("title: another\n", ["config.yaml: line", "'title' stands here a second time"]),
        ("cohorts: [1, 2\nx: 3\n", ["config.yaml: not valid YAML", "line"]),
    ],
)
def test_what_is_wrong_with_yaml_is_said_with_its_line(workflow, text, parts):
    path = workflow.folder / "config.yaml"
    path.write_text(path.read_text() + text)
    # A file that is given by --configfile is read before there is a workflow.
    for options in [[], ["--configfile", "config.yaml"]][: 1 + ("title" in text)]:
        output = workflow.fails("all", "--dry-run", *options)
        for part in parts:
            assert part in output
