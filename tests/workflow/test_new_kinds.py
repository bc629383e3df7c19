"""Models beyond one tensor and one store, through the whole workflow: streams, layers, uses, and
one that judges the others' reconstructions."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas
import pytest
import yaml

from normscan.slices.index import load_index, stack_volume
from tiny_study import Workflow

pytestmark = pytest.mark.workflow

SMALL = {"max_epochs": 2, "batch_size": 16}
NET = {"depth": 2, "width": 4}
RULE = "healthy_percentile_98"
HEALTHY = {
    "training": {
        "streams": {"unlabelled": {"cohorts": ["ms"]}, "anatomy": {"cohorts": ["healthy"]}},
    },
    "evaluation": {"fidelity": {"model": "tissues"}},
    "threshold_rules": [{"healthy_percentile": {}}, {"best_dice": {}}],
    "models": {
        "ae": {"family": "ae", "latent": 8, "inputs": ["FLAIR"], "targets": ["FLAIR"], **SMALL},
        "synthesis": {
            "family": "translation", "inputs": ["T1w"], "targets": ["FLAIR"], "neighbours": 1,
            **SMALL, **NET,
        },
        "svdd": {"family": "deep_svdd", "latent": 8, **SMALL},
        "bank": {
            "family": "feature_bank", "inputs": ["FLAIR"], "targets": ["FLAIR"],
            "uses": {"features": "ae"}, "bank_size": 50,
        },
        "adm": {"family": "adm", "width": 4, "augmentation": {"scaling": {}}, **SMALL},
        "student": {
            "family": "self_taught", "labels": {"approach": "synthesis", "rule": RULE},
            **SMALL, **NET,
        },
        "tissues": {
            "family": "anatomy_segmentation", "inputs": ["FLAIR"], "targets": ["FLAIR"],
            "classes": 3, "learning_rate": 1e-3, **SMALL, **NET,
        },
    },
    "approaches": {
        "intensity": {"detector": "intensity"},
        "synthesis": {"model": "synthesis", "detector": "reconstruction"},
        "svdd": {"model": "svdd", "detector": "slice_score"},
        "bank": {"model": "bank", "detector": "pixel_energy"},
        "adm": {"model": "adm", "detector": "pixel_energy"},
        "adm_reduced": {"model": "adm", "detector": "pixel_energy", "features": "reduced"},
        "student": {"model": "student", "detector": "segmentation"},
        "both": {"fuse": ["intensity", "synthesis"]},
    },
}  # fmt: skip
PATIENTS = {
    "training": {
        "streams": {
            "main": {"cohorts": ["ms"]},
            "unlabelled": {"cohorts": ["healthy"], "slices": "lesion_free"},
        }
    },
    "models": {"fcn": {"family": "semi_fcn", **SMALL, **NET}},
    "approaches": {"fcn": {"model": "fcn", "detector": "segmentation"}},
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory) -> Workflow:
    """Two protocols with a model of every kind, run to the end."""
    workflow = Workflow(tmp_path_factory.mktemp("kinds"))
    workflow.protocol["contrasts"] = ["FLAIR", "T1w"]
    for name, own in (("kinds", HEALTHY), ("labels", PATIENTS)):
        text = yaml.safe_dump({**workflow.protocol, **own}, sort_keys=False)
        (workflow.folder / "protocols" / f"{name}.yaml").write_text(text)
    workflow.config["protocols"] = ["kinds", "labels"]
    workflow.config["shard_size"] = 4
    classes = {"csf": 1, "grey_matter": 2, "white_matter": 3}
    workflow.config["cohorts"]["healthy"]["anatomy_classes"] = classes
    # Detections on the grid of the slices, to be compared with pseudo-labels.
    workflow.config["volumes"]["detections"] = "both"
    workflow.write()
    workflow.run("all")
    workflow.run("screen")
    return workflow


@pytest.fixture(scope="module")
def metrics(kinds) -> pandas.DataFrame:
    labels = {"subject": str, "scan": str}
    return pandas.read_csv(kinds.results / "metrics.tsv", sep="\t", dtype=labels)


def of(metrics: pandas.DataFrame, approach: str) -> pandas.DataFrame:
    return metrics[metrics["approach"] == approach]


def bundle(kinds, protocol: str, approach: str) -> dict:
    path = kinds.results / "bundles" / protocol / approach / "seed-0" / "bundle.json"
    return json.loads(path.read_text())


def test_slices_are_scored_and_voxels_are_not(metrics):
    svdd = of(metrics, "kinds/svdd")
    areas = svdd[svdd["metric"].isin(["auroc", "auprc"])]
    assert set(areas["level"]) == {"slice"} and areas["value"].between(0, 1).all()
    assert "slice" not in set(of(metrics, "kinds/synthesis")["level"])


def test_targets_are_not_the_inputs(kinds, metrics):
    description = bundle(kinds, "kinds", "synthesis")
    assert (description["inputs"], description["targets"]) == (["T1w"], ["FLAIR"])
    assert description["neighbours"] == 1
    assert "l1_normal" in set(of(metrics, "kinds/synthesis")["metric"])
    maps = kinds.results / "maps"
    (manifest,) = maps.glob("*/*/healthy/synthesis/seed-0/ms/*.json")
    assert json.loads(manifest.read_text())["contrast"] == "FLAIR"


def test_all_contrasts_are_predicted_from_each_other(kinds, metrics):
    description = bundle(kinds, "kinds", "adm")
    assert description["inputs"] == description["targets"] == ["FLAIR", "T1w"]
    areas = [
        of(metrics, f"kinds/{approach}").query("metric == 'auroc'")["value"].to_numpy()
        for approach in ("adm", "adm_reduced")
    ]
    assert len(areas[0]) and (areas[0] != areas[1]).any()


def test_a_model_comes_with_what_it_uses(kinds):
    used = bundle(kinds, "kinds", "bank")["uses"]["features"]
    assert used["family"] == "ae" and used["settings"]["latent"] == 8
    scans = bundle(kinds, "kinds", "bank")["scans"]
    assert scans["train, features"] == scans["train"]


def test_patients_that_were_trained_on_are_in_no_metric(kinds, metrics):
    table = pandas.read_csv(kinds.results / "cohorts/ms/subjects.tsv", sep="\t", dtype=str)
    splits = dict(zip(table["subject"], table["split"]))
    assert sorted(splits.values()) == ["test", "train", "validation"]
    (trained,) = (subject for subject, split in splits.items() if split == "train")
    assert f"ms/sub-{trained}" in bundle(kinds, "labels", "fcn")["scans"]["train"]
    assert trained not in set(metrics["subject"])
    # The same for all protocols of a run: they are compared on the same patients.
    tested = of(metrics, "kinds/synthesis")
    assert set(tested[tested["level"] == "subject"]["subject"]) == set(splits) - {trained}


def pseudo_labels(kinds, protocol: str, variant: str) -> tuple[Path, dict, np.ndarray]:
    """The manifest of the patients' shard, what it says, and the array."""
    folder = kinds.results / "detections" / protocol / variant / "seed-0" / f"pseudo-{RULE}"
    (path,) = (folder / "ms").glob("*.json")
    return path, json.loads(path.read_text()), np.load(path.with_suffix(".npy"))


def splits(kinds) -> dict[str, str]:
    """Scan of the patients -> its split."""
    table = pandas.read_csv(kinds.results / "cohorts/ms/subjects.tsv", sep="\t", dtype=str)
    return dict(zip(table["scan"], table["split"]))


def test_pseudo_labels_are_what_the_same_approach_detects(kinds):
    _, content, labels = pseudo_labels(kinds, "kinds", "synthesis")
    split = splits(kinds)
    assert {split[scan] for scan in content["scans"]} == {"train", "validation"}
    index = load_index(
        content["index"]
        if Path(content["index"]).is_absolute()
        else kinds.folder / content["index"]
    )
    compared = 0
    detected = kinds.results / "detections/kinds/synthesis/seed-0/detected/ms"
    for scan in index.scans:
        own = labels[scan.rows]
        if split[scan.scan] == "test":
            assert not own.any()
            continue
        (path,) = (detected / scan.scan).glob(f"{scan.scan}_label-anomaly_dseg.nii.gz")
        volume = np.asarray(nibabel.load(path).dataobj)
        np.testing.assert_array_equal(stack_volume(own, scan), volume)
        assert content["scans"][scan.scan]["voxels"] == volume.sum()
        compared += int(volume.sum())
    assert compared


def test_who_learns_from_pseudo_labels_is_scored_and_screens_without_its_teacher(kinds, metrics):
    areas = of(metrics, "kinds/student").query("metric == 'auroc' and level == 'cohort'")
    assert len(areas) and areas["value"].between(0, 1).all()
    description = bundle(kinds, "kinds", "student")
    split = splits(kinds)
    assert set(description["scans"]["train"]) == {
        f"ms/{scan}" for scan, one in split.items() if one == "train"
    }
    taught = description["taught"]
    assert (taught["approach"], taught["rule"]) == ("kinds/synthesis", RULE)
    assert taught["voxels"] > 0 and taught["digest"]
    folder = kinds.results / "bundles/kinds/student/seed-0"
    assert sorted(path.name for path in folder.iterdir()) == [
        "approach.json", "bundle.json", "weights.safetensors"
    ]  # fmt: skip
    assert (kinds.results / "screening/new/kinds/student").exists()


def test_scans_that_a_teacher_was_trained_on_get_maps_where_labels_are_made_of_them(kinds):
    target = f"results/detections/labels/fcn/seed-0/pseudo-{RULE}/ms/"
    path, _, _ = pseudo_labels(kinds, "kinds", "synthesis")
    jobs = kinds.counts(target + path.name)
    assert jobs == {"detect_others": 1, "pseudo_label": 1}
    kinds.run(target + path.name)
    _, content, labels = pseudo_labels(kinds, "labels", "fcn")
    assert {splits(kinds)[scan] for scan in content["scans"]} == {"train", "validation"}
    assert kinds.counts("all") == {}


def test_other_labels_train_the_student_anew_and_nothing_else(kinds):
    path = kinds.folder / "protocols/kinds.yaml"
    before = path.read_text()
    content = yaml.safe_load(before)
    content["models"]["student"]["labels"]["approach"] = "bank"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    jobs = kinds.planned("all")
    path.write_text(before)
    assert {w["model"] for rule, w in jobs if rule == "train"} == {"student"}
    assert {w["approach"] for rule, w in jobs if rule == "detect"} == {"student"}
    assert {w["variant"] for rule, w in jobs if rule == "pseudo_label"} == {"bank"}


def test_another_teacher_trains_the_student_anew(kinds):
    path = kinds.folder / "protocols/kinds.yaml"
    before = path.read_text()
    content = yaml.safe_load(before)
    content["models"]["synthesis"]["learning_rate"] = 2e-4
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    jobs = kinds.planned("all")
    path.write_text(before)
    assert {w["model"] for rule, w in jobs if rule == "train"} == {"synthesis", "student"}
    assert {w["variant"] for rule, w in jobs if rule == "pseudo_label"} == {"synthesis"}


def test_maps_without_a_sign_are_not_emptied_by_a_prior(metrics):
    fcn = of(metrics, "labels/fcn")
    areas = fcn[(fcn["metric"] == "auroc") & (fcn["level"] == "cohort")]
    assert len(areas) and (areas["value"] != 0.5).all()


def test_a_fused_approach_is_scored_like_any_other(kinds, metrics):
    areas = of(metrics, "kinds/both").query("metric == 'auroc' and level == 'cohort'")
    assert len(areas) and areas["value"].between(0, 1).all()
    folder = kinds.results / "detections/kinds/both/seed-0/filtered-hyperintense/ms"
    (path,) = (one.with_suffix(".json") for one in folder.glob("*.npz"))
    content = json.loads(path.read_text())
    assert [one["variant"] for one in content["parts"]] == ["intensity", "synthesis"]
    assert [one["healthy_scans"] for one in content["parts"]] == [1, 1]
    assert np.load(path.with_suffix(".npy")).max() > 0
    bundle = json.loads((kinds.results / "bundles/kinds/both/seed-0/approach.json").read_text())
    assert [one["variant"] for one in bundle["parts"]] == ["intensity", "synthesis"]
    screened = kinds.results / "screening/new/kinds/both/seed-0"
    assert list(screened.glob("sub-*/*_components.tsv"))
    assert not list(kinds.results.glob("maps/*/*/*/both"))
    assert "fused from the maps" in (kinds.results / "report.html").read_text()


def test_other_weights_fuse_anew_and_filter_nothing(kinds):
    path = kinds.folder / "protocols/kinds.yaml"
    before = path.read_text()
    content = yaml.safe_load(before)
    content["approaches"]["both"]["weights"] = {"intensity": 1, "synthesis": 2}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    jobs = kinds.planned("all")
    path.write_text(before)
    assert {w["variant"] for rule, w in jobs if "variant" in w} == {"both"}
    assert {rule for rule, _ in jobs} == {
        "fuse_maps", "find_thresholds", "segment", "evaluate", "collect_metrics", "draw_figures",
        "compare_approaches", "patient_pages", "report", "export_bundle",
    }  # fmt: skip


def test_nothing_is_left_to_be_done(kinds):
    assert kinds.counts("all") == {}


def test_screening_goes_by_what_makes_maps(kinds):
    pages = sorted(path.name for path in (kinds.results / "screening/new").iterdir())
    assert {"kinds", "labels"} <= set(pages)
    assert not (kinds.results / "screening/new/kinds/svdd").exists()
    assert (kinds.results / "screening/new/kinds/bank").exists()


def test_another_model_that_is_used_trains_its_users_anew(kinds):
    path = kinds.folder / "protocols/kinds.yaml"
    before = path.read_text()
    content = yaml.safe_load(before)
    content["models"]["ae"]["latent"] = 9
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    trained = {w["model"] for rule, w in kinds.planned("all") if rule == "train"}
    path.write_text(before)
    assert trained == {"ae", "bank"}


def test_reconstructions_are_judged_by_a_segmentation_of_anatomy(kinds, metrics):
    rows = metrics[metrics["metric"].str.startswith(("quality_score", "overlap_score"))]
    assert set(rows["approach"]) == {"kinds/synthesis"}, "who else reconstructs?"
    names = ["csf", "grey_matter", "white_matter"]
    single = ["quality_score", "overlap_score", *(f"overlap_score_{name}" for name in names)]
    tested = rows[rows["split"] == "test"]
    assert set(tested[tested["level"] == "scan"]["metric"]) == set(single)
    (path,) = kinds.results.glob("detections/kinds/synthesis/seed-0/fidelity/ms/*.tsv")
    slices = pandas.read_csv(path, sep="\t")
    for metric in single:
        own = tested[(tested["level"] == "scan") & (tested["metric"] == metric)]
        of_slices = slices[slices["metric"] == metric].groupby("scan")["value"].mean()
        assert own["value"].tolist() == pytest.approx(of_slices[own["scan"]].tolist())
    mean = tested.query("level == 'cohort' and metric == 'quality_score_mean'")["value"].item()
    subjects = tested.query("level == 'subject' and metric == 'quality_score'")["value"]
    assert mean == pytest.approx(subjects.mean())
    overlaps = slices[slices["metric"].str.startswith("overlap")]["value"].dropna()
    assert len(overlaps) and overlaps.between(0, 1).all()
    for name in ("fidelity", "fidelity_example"):
        assert (kinds.results / f"figures/kinds/ms/{name}.png").exists()
    assert "anatomical fidelity of reconstructions" in (kinds.results / "report.html").read_text()
    # Where tissues are is known of the training scans, and of nobody else: the layer is theirs.
    for cohort, there in (("healthy", True), ("ms", False)):
        (index,) = kinds.results.glob(f"slices/*/*/{cohort}/*.json")
        assert ("anatomy" in load_index(index).layers) is there


def test_another_segmentation_measures_anew_and_detects_nothing(kinds):
    path = kinds.folder / "protocols/kinds.yaml"
    before = path.read_text()
    content = yaml.safe_load(before)
    content["models"]["tissues"]["learning_rate"] = 2e-3
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    jobs = kinds.planned("all")
    path.write_text(before)
    assert {w["model"] for rule, w in jobs if rule == "train"} == {"tissues"}
    assert {rule for rule, _ in jobs} == {
        "train", "measure_fidelity", "evaluate_fidelity", "show_fidelity", "collect_metrics",
        "draw_figures", "compare_approaches", "report",
    }  # fmt: skip
