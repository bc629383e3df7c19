"""What a finished study holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pandas
import pytest

from normscan.cohorts.simulation.simulate import simulate_scan

pytestmark = pytest.mark.workflow


def detected(finished, approach: str, seed: int = 0) -> dict[str, dict]:
    """Scans of the patient cohort with the files of an approach."""
    folder = (
        finished.results / "detections" / "tiny" / approach / f"seed-{seed}" / "detected" / "ms"
    )
    scans = {}
    for path in sorted(folder.glob("*.json")):
        scans |= json.loads(path.read_text())["scans"]
    return scans


def test_a_run_says_little_and_names_its_results_at_the_end(finished):
    """How far it is, no paragraph per job; the report's path comes last."""
    for target, others in (("all", ["Log", "Metrics"]), ("screen", ["Log", "Metrics", "Screening"])):
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
    table = pandas.read_csv(finished.results / "metrics.tsv", sep="\t")
    assert list(table.columns) == [
        "cohort",
        "approach",
        "seed",
        "split",
        "level",
        "subject",
        "threshold_rule",
        "metric",
        "value",
    ]
    assert set(table["approach"]) == {"tiny/intensity", "tiny/ae", "tiny/vae"}
    assert set(table["split"]) == {"validation", "test"}
    oracle = table[table["threshold_rule"] == "oracle"]
    assert set(oracle["metric"]) == {"best_dice", "best_dice_threshold"}
    per_rule = table[(table["metric"] == "dice") & (table["level"] == "subject")]
    assert {"best_dice", "healthy_percentile_98", "healthy_fpr_0.01"} <= set(
        per_rule["threshold_rule"]
    )
    keys = [name for name in table.columns if name != "value"]
    assert not table.duplicated(keys).any()


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
        labels = np.unique(nibabel.load(finished.folder / files["native_detection"]).get_fdata())
        assert set(labels) <= {0, 1}


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


def test_the_report_stands_alone_and_names_what_was_run(finished):
    report = (finished.results / "report.html").read_text()
    for part in ("tiny", "intensity", "vae", "ROBEX", "oracle", "hyperintense"):
        assert part in report, part
    assert 'src="http' not in report and 'href="/' not in report


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
        config.write_text(yaml.safe_dump(content))
        output = finished.fails("screen")
        assert "preprocessed differently" in output
        assert "percentile" in output
    finally:
        path.write_text(text)
        config.write_text(before)


def test_volumes_stand_in_bids_derivatives_folders(finished):
    folders = [one for one in (finished.results / "preprocessed").glob("raw+*/*") if one.is_dir()]
    assert folders
    for folder in folders:
        description = json.loads((folder / "dataset_description.json").read_text())
        assert description["DatasetType"] == "derivative"
        assert description["GeneratedBy"][0]["Name"] == "normscan"


def test_every_job_left_a_log_and_a_benchmark(finished):
    for kind in ("logs", "benchmarks"):
        rules = {path.name for path in (finished.results / kind).iterdir()}
        assert {"register", "train", "detect", "segment", "report", "screen_scans"} <= rules


def test_whole_heads_are_stripped_by_robex(workflow):
    """One simulated head through registration and ROBEX, against its true brain."""
    folder = workflow.folder / "data" / "heads"
    simulate_scan(folder, "01", cohort="heads", seed=5, oblique=True)
    workflow.config["cohorts"] = {
        "heads": {"role": "unlabelled", "source": "bids", "path": "data/heads"}
    }
    workflow.protocol["preprocessing"] = [
        {"register": {"atlas": "robex", "transform": "affine", "spacing": 3.0}},
        {"strip_skull": {"method": "robex"}},
    ]
    workflow.protocol["approaches"] = {"intensity": {"detector": "intensity"}}
    workflow.write()
    chain = "raw+register-affine-robex-3mm+strip_skull-robex"
    manifest = workflow.results / "preprocessed" / chain / "heads" / "00.json"
    workflow.run(str(manifest.relative_to(workflow.folder)))
    (entry,) = json.loads(manifest.read_text())["scans"]
    from normscan.preprocessing.resample import to_native
    from normscan.preprocessing.volumes import Prepared

    prepared = Prepared.from_json(entry)
    mask, _ = to_native(Path(prepared.brain).as_posix(), prepared, "T1w", interpolation="nearest")
    path = folder / "derivatives" / "truth" / "sub-01" / "anat" / "sub-01_desc-brain_mask.nii.gz"
    truth = nibabel.load(path).get_fdata() > 0.5
    found = mask > 0.5
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
