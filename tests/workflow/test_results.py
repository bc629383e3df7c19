"""What a finished study holds."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import nibabel
import numpy as np
import pandas
import pytest
from snakemake.iocontainers import Wildcards

from bids_validation import bids_errors, needs_validator
from html_validation import html_errors
from tiny_study import REPOSITORY

pytestmark = pytest.mark.workflow


def detected(finished, approach: str, seed: int = 0) -> dict[str, dict]:
    """Scans of the patient cohort with the files of an approach."""
    folder = (
        finished.results / "detections" / "tiny" / approach / f"seed-{seed}" / "detected" / "ms"
    )
    scans = {}
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text())
        for scan, files in content["scans"].items():
            scans[scan] = {**files, "components": content["components"]}
    return scans


def test_a_run_says_little_and_names_its_results_at_the_end(finished):
    """How far it is, no paragraph per job; the report's path comes last."""
    for target, others in (
        ("all", ["Log", "Metrics"]),
        ("screen", ["Log", "Metrics", "Screening"]),
    ):
        lines = finished.said[target].splitlines()
        assert len(lines) < 50, finished.said[target]
        assert any(re.fullmatch(r"(\d+) of \1 jobs done in .*", line) for line in lines)
        named = [line.split() for line in lines[-len(others) - 1 :]]
        assert [name for name, _ in named] == [f"{name}:" for name in [*others, "Report"]]
        assert all(Path(path).is_file() for _, path in named)
        assert named[-1][1] == str(finished.results / "report.html")
    again = finished.run("all").splitlines()
    assert "Nothing to be done" in again[-3]
    assert again[-1] == f"Report:  {finished.results}/report.html"


def test_metrics_are_one_tidy_table(finished):
    labels = {"subject": str, "scan": str}
    table = pandas.read_csv(finished.results / "metrics.tsv", sep="\t", dtype=labels)
    assert list(table.columns) == [
        "cohort",
        "approach",
        "seed",
        "split",
        "level",
        "subject",
        "scan",
        "threshold_rule",
        "metric",
        "value",
    ]
    assert set(table["approach"]) == {"tiny/intensity", "tiny/ae", "tiny/vae"}
    assert set(table["split"]) == {"validation", "test"}
    oracle = table[table["threshold_rule"] == "oracle"]
    rates = {f"youden_{name}" for name in ("threshold", "fpr", "fnr")}
    dice = {f"youden_dice{part}" for part in ("", "_mean", "_std")}
    assert set(oracle["metric"]) == {"best_dice", "best_dice_threshold", *rates, *dice}
    # What was chosen on the validation patients is marked there, and only there.
    dice = table[table["metric"] == "dice"].groupby("split")["threshold_rule"].agg(set)
    assert {"oracle:best_dice", "healthy_fpr_0.01"} <= dice["validation"]
    assert "best_dice" not in dice["validation"] and "oracle:best_dice" not in dice["test"]
    # Scans and subjects apart; here every subject has one scan.
    assert set(table["level"]) == {"cohort", "subject", "scan"}
    values = [
        table[table["level"] == level].drop(columns=["level", "scan"]).reset_index(drop=True)
        for level in ("subject", "scan")
    ]
    pandas.testing.assert_frame_equal(*values)
    scans = table[table["level"] == "scan"].drop_duplicates("scan")
    assert ("sub-" + scans["subject"] == scans["scan"]).all()
    # Nothing reconstructs anything in the intensity baseline.
    errors = table[table["metric"].str.startswith("l1_")]
    assert set(errors["approach"]) == {"tiny/ae", "tiny/vae"}
    per_rule = table[(table["metric"] == "dice") & (table["level"] == "subject")]
    assert {"best_dice", "healthy_percentile_98", "healthy_fpr_0.01"} <= set(
        per_rule["threshold_rule"]
    )
    keys = [name for name in table.columns if name != "value"]
    assert not table.duplicated(keys).any()


def test_slices_and_trainings_have_tables_of_their_own(finished):
    folder = finished.results / "evaluation" / "tiny" / "vae" / "seed-0" / "slices"
    slices = pandas.read_csv(folder / "ms.tsv", sep="\t", dtype={"subject": str})
    assert {"scan", "slice", "lesion_voxels", "lesion_mm2", "auroc", "split"} <= set(slices)
    assert len(slices) and slices["auroc"].between(0, 1).all() and (slices["lesion_mm2"] > 0).all()
    assert ("sub-" + slices["subject"] == slices["scan"]).all()
    found = pandas.read_csv(finished.results / "study" / "tiny" / "trainings.tsv", sep="\t")
    assert {"validation", "test"} == set(found["split"])
    assert {"auroc", "auprc", "dice", "precision", "recall"} == set(found["metric"])
    assert (found["seeds"] <= 1).all() and found["std"].isna().all()
    tests = pandas.read_csv(finished.results / "study" / "tiny" / "training_tests.tsv", sep="\t")
    assert len(tests) and tests["p"].isna().all(), "one training says nothing of others"


def test_results_come_back_on_the_native_grid_where_the_lesion_is(finished):
    native = finished.folder / "data" / "ms"
    for scan, files in detected(finished, "intensity").items():
        raw = nibabel.load(native / scan / "anat" / f"{scan}_FLAIR.nii.gz")
        truth = native / "derivatives" / "truth" / scan / "anat"
        lesion = nibabel.load(truth / f"{scan}_label-lesion_dseg.nii.gz").get_fdata() > 0
        for key in ("native_map", "native_detection"):
            found = nibabel.load(finished.folder / files[key])
            assert found.shape == raw.shape
            assert np.array_equal(found.affine, raw.affine)
        score = nibabel.load(finished.folder / files["native_map"]).get_fdata()
        brain = raw.get_fdata() > 0
        assert score[lesion].mean() > 1.5 * score[brain & ~lesion].mean(), scan
        detection = nibabel.load(finished.folder / files["native_detection"]).get_fdata()
        assert set(np.unique(detection)) <= {0, 1}
        components = pandas.read_csv(finished.folder / files["components"], sep="\t")
        own = components[components["scan"] == scan]
        assert own["voxels"].sum() == detection.sum()


def test_maps_are_arrays_and_volumes_what_was_asked_for(finished):
    """One array per approach, seed and shard; of a scan there is nothing but what is asked for."""
    for stage in ("maps", "slices"):
        assert not list((finished.results / stage).rglob("*.nii*"))
    for stage in ("maps", "detections/*/*/*/filtered-*"):
        for manifest in finished.results.glob(f"{stage}/**/ms/*.json"):
            content = json.loads(manifest.read_text())
            if "arrays" not in content:
                continue
            assert content["cohort"] == "ms" and content["scans"]
            for name in content["arrays"].values():
                array = np.load(manifest.parent / name, mmap_mode="r")
                assert len(array) == sum(one["count"] for one in content["scans"].values())
    written = {path.name.partition("_")[2] for path in finished.results.rglob("detected/*/*/*")}
    assert written == {
        "space-FLAIR_label-anomaly_dseg.nii.gz",
        "space-FLAIR_desc-filtered_map.nii.gz",
    }


def test_lesions_lost_on_the_slice_grid_are_counted(finished):
    table = pandas.read_csv(finished.results / "quality/tiny/ms.tsv", sep="\t")
    content = json.loads((finished.results / "quality/tiny/ms.json").read_text())
    lost = table[table["lost_lesions"] > 0]
    assert [one["scan"] for one in content["lost_lesions"]] == lost["scan"].tolist()
    report = (finished.results / "report.html").read_text()
    assert report.count("lost on the slice grid") == len(lost)


def test_thresholds_of_healthy_rules_keep_their_promise(finished):
    folder = finished.results / "detections" / "tiny" / "ae" / "seed-0"
    rules = json.loads((folder / "thresholds.json").read_text())["hyperintense"]
    assert rules["healthy_fpr_0.01"]["healthy_false_positive_rate"] <= 0.01
    assert rules["healthy_fpr_0.05"]["healthy_false_positive_rate"] <= 0.05
    assert rules["healthy_fpr_0.05"]["threshold"] <= rules["healthy_fpr_0.01"]["threshold"]


def test_training_and_validation_subjects_are_apart(finished):
    (bundle,) = (finished.results / "models").rglob("vae/seed-0/bundle.json")
    scans = json.loads(bundle.read_text())["scans"]
    assert not set(scans["train"]) & set(scans["validation"])
    table = pandas.read_csv(finished.results / "cohorts/healthy/subjects.tsv", sep="\t", dtype=str)
    train = set(table[table["split"] == "train"]["scan"])
    assert {name.split("/")[1] for name in scans["train"]} == train
    # By content, too, so that they are known again under any name.
    reports = [json.loads(path.read_text()) for path in finished.results.glob("checks/healthy/*")]
    digests = {
        one["scan"]: {contrast: fact["voxels"] for contrast, fact in one["facts"].items()}
        for report in reports
        for one in report["reports"]
    }
    for split in ("train", "validation"):
        assert scans[split] == {
            f"healthy/{one}": digests[one]
            for one in sorted(digests)
            if f"healthy/{one}" in scans[split]
        }


def test_the_report_links_what_is_there_and_names_what_was_run(finished):
    report = (finished.results / "report.html").read_text()
    made_from_settings = (
        "side of a slice 16 px",
        "epochs at most 2",
        "steps 2",
        "(not of healthy and ms, which",
    )
    for part in (
        "tiny",
        "intensity",
        "vae",
        "ROBEX",
        "oracle",
        "hyperintense",
        *made_from_settings,
    ):
        assert part in report, part
    assert 'src="http' not in report and 'href="/' not in report
    linked = set(re.findall(r'(?:src|href)="([^"#:]+)"', report))
    assert {"metrics.tsv", "study/tiny/patients.tsv"} <= linked
    assert {Path(link).suffix for link in linked} >= {".png", ".svg", ".tsv", ".html"}
    for link in linked:
        assert (finished.results / unquote(link)).is_file(), link
    assert len(report) < 6_000_000
    (path,) = (finished.results / "maps").rglob("vae/seed-0/tuned.json")
    tuned = json.loads(path.read_text())
    assert tuned["criterion"] == "mean_change" and tuned["table"]
    assert tuned["how"] in ("interior minimum", "fallback")
    assert bool(tuned["reason"]) == (tuned["how"] == "fallback")
    line = "the weight of the total variation of vae, seed 0 was not determined by healthy scans"
    assert (line in report) == (tuned["how"] == "fallback")


def test_screening_has_a_page_per_scan(finished):
    folder = finished.results / "screening" / "new"
    index = (folder / "index.html").read_text()
    assert "sub-01.html" in index
    page = (folder / "sub-01.html").read_text()
    assert "not a medical device" in page.lower() or "research" in page.lower()
    table = pandas.read_csv(folder / "components.tsv", sep="\t")
    assert {"scan", "approach", "volume_ml"} <= set(table.columns)
    for path in folder.rglob("*_space-FLAIR_label-anomaly_dseg.nii.gz"):
        raw = finished.results / "simulated" / "new" / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz"
        assert nibabel.load(path).shape == nibabel.load(raw).shape


def test_a_bundle_refuses_scans_that_were_preprocessed_otherwise(finished):
    path = finished.folder / "protocols" / "tiny.yaml"
    text = path.read_text()
    bundles = {"bundles": str(finished.results / "bundles")}
    config = finished.folder / "config.yaml"
    before = config.read_text()
    import yaml

    try:
        path.write_text(text.replace("- normalise: {}", "- normalise: {percentile: 90}"))
        content = yaml.safe_load(before)
        content["screening"] = {**bundles, "approaches": ["tiny/ae"]}
        content["results"] = "results-otherwise"
        # Healthy scans that are there already, few jobs: the cohort is only compared with.
        there = {"source": "bids", "path": "results/simulated/healthy", "shard_size": 8}
        content["cohorts"]["healthy"] |= there
        content["cohorts"]["healthy"].pop("simulation")
        content["cohorts"]["ms"]["shard_size"] = 8
        config.write_text(yaml.safe_dump(content))
        output = finished.fails("screen")
        assert "preprocessed differently" in output
        assert "percentile" in output
    finally:
        path.write_text(text)
        config.write_text(before)


@pytest.mark.parametrize("reaction", ["stop", "exclude"])
def test_a_bundle_refuses_scans_it_was_trained_on(finished, tmp_path, caplog, reaction):
    """The script of a screening job on the pack of the healthy cohort, under another name."""
    (index,) = finished.results.glob("slices/*/*/healthy/01.json")
    checked = tmp_path / "checked.json"
    checked.write_text(json.dumps({"excluded": {"clinic": {"sub-03": "truncated"}}}))
    job = SimpleNamespace(
        input=SimpleNamespace(index=index, checked=checked),
        params=SimpleNamespace(
            bundle=str(finished.results / "bundles/tiny/ae/seed-0"),
            prior="hyperintense",
            contrast="FLAIR",
            on_bad_scan=reaction,
            folder=str(tmp_path),
            device="cpu",
        ),
        rule="screen_scans",
        wildcards=Wildcards(
            fromdict={"cohort": "clinic", "protocol": "tiny", "variant": "ae", "shard": "01"}
        ),
        output=[tmp_path / "01.json"],
        log=[],
        threads=1,
    )
    script = REPOSITORY / "workflow_scripts" / "screen_scans.py"
    if reaction == "stop":
        with pytest.raises(SystemExit):
            runpy.run_path(str(script), {"snakemake": job})
        for part in ("bundles/tiny/ae/seed-0: scans of cohort 'clinic'", "'exclude'"):
            assert part in caplog.text
        assert "sub-01: its FLAIR is that of healthy/sub-01" in caplog.text
        assert not (tmp_path / "sub-01").exists()
    else:
        runpy.run_path(str(script), {"snakemake": job})
        content = json.loads((tmp_path / "01.json").read_text())
        assert content["scans"] == {} and content["excluded"]["sub-03"] == "truncated"
        assert "tiny/ae was trained on it" in content["excluded"]["sub-01"]


def test_volumes_stand_in_bids_derivatives_folders(finished):
    folders = [one for one in (finished.results / "preprocessed").glob("raw+*/*") if one.is_dir()]
    assert folders
    for folder in folders:
        description = json.loads((folder / "dataset_description.json").read_text())
        assert description["DatasetType"] == "derivative"
        assert description["GeneratedBy"][0]["Name"] == "normscan"


@needs_validator
def test_preprocessed_folders_pass_the_bids_validator(finished):
    folders = [one for one in (finished.results / "preprocessed").glob("raw+*/*") if one.is_dir()]
    assert folders
    # Of each chain one, since each takes a second.
    for folder in {one.parent: one for one in sorted(folders)}.values():
        assert bids_errors(folder) == []


def test_all_pages_are_parsed_without_an_error(finished):
    pages = sorted(finished.results.rglob("*.html"))
    assert len(pages) > 4
    found = {path.name: html_errors(path.read_text()) for path in pages}
    assert not any(found.values()), found


def test_every_job_left_a_log_and_a_benchmark(finished):
    for kind in ("logs", "benchmarks"):
        rules = {path.name for path in (finished.results / kind).iterdir()}
        assert {"register", "train", "detect", "segment", "report", "screen_scans"} <= rules
