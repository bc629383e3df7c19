"""Classes of lesions through the scripts: from label maps to metrics, curves and slices."""

from types import SimpleNamespace

import numpy as np
import pytest
from handed_on import detect_filter_segment, evaluate
from made_pack import write_pack
from sklearn.metrics import roc_auc_score

from normscan.figures.classes import add_class_boxes, add_class_curves, add_class_slices

SHAPE = (16, 16, 8)
CLASSES = {"tumour": [1, 4], "cavity": [2]}
LABELS = sorted(label for one in CLASSES.values() for label in one)
SCANS = {"sub-1": "test", "sub-2": "test", "sub-3": "test", "sub-4": "validation"}
ONE = {"variant": "vae", "seed": 0, "title": "VAE", "expected": "restored"}


def made(seed: int):
    """Labels (3: of no class) and a map that knows cavities better than tumours."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:5, 2:5, 1:4], labels[3, 3, 2], labels[8:11, 8:12, 4:8] = 1, 4, 3
    if seed != 3:
        labels[4:9, 12:14, 2:6] = 2
    score = rng.random(SHAPE) + 0.4 * (labels == 1) + 2.0 * (labels == 2)
    return labels, score.astype(np.float32)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    brain = np.ones(SHAPE, np.uint8)
    brain[:, 14:] = 0
    scans = {f"sub-{n}": made(n) for n in range(1, 5)}
    pack = write_pack(
        folder,
        {name: {"brain": brain, "lesion": one[0], "image": brain} for name, one in scans.items()},
    )
    detect_filter_segment(
        folder, pack, {name: one[1] for name, one in scans.items()},
        lesion_labels=LABELS, lesion_classes=CLASSES,
    )  # fmt: skip
    return folder, scans, brain > 0, *evaluate(folder, SCANS)


def test_areas_are_those_of_the_maps_inside_of_the_mask(results):
    _, scans, brain, metrics, _ = results
    rows = metrics[(metrics["level"] == "scan") & (metrics["split"] == "test")]
    for scan, (labels, score) in scans.items():
        for name, chosen in CLASSES.items():
            found = rows[(rows["scan"] == scan) & (rows["metric"] == f"{name}:auroc")]["value"]
            if SCANS[scan] != "test" or (scan == "sub-3" and name == "cavity"):
                assert found.empty
                continue
            positive = np.isin(labels, chosen)
            used = positive | (brain & (labels == 0))
            area = roc_auc_score(positive[used], score[used])
            assert found.item() == pytest.approx(area, abs=2e-3)
    whole = metrics[(metrics["level"] == "cohort") & (metrics["split"] == "test")]
    value = dict(zip(whole["metric"], whole["value"]))
    assert (value["tumour:patients"], value["cavity:patients"]) == (3, 2)
    assert value["cavity:auroc_mean"] > value["tumour:auroc_mean"]
    oracle = whole[whole["metric"].str.startswith("tumour:f1")]["threshold_rule"]
    assert set(oracle) == {"oracle"}


def test_figures_are_of_test_patients_and_their_classes(results, tmp_path):
    folder, _, _, metrics, curves = results
    test = metrics[metrics["split"] == "test"].assign(title="VAE")
    added = {}
    figures = SimpleNamespace(
        looks={},
        orientation="neurological",
        sides="",
        add=lambda figure, name, *words: added.setdefault(name, (figure, words)),
    )
    add_class_curves(figures, "wmh", {"VAE": curves["test"]})
    add_class_boxes(figures, "wmh", test, CLASSES)
    add_class_slices(figures, "wmh", [str(folder / "detected.json")], ONE, test, CLASSES)
    assert list(added) == ["class_roc", "class_auroc", "class_slices_vae"]
    titles = [axes.get_title() for axes in added["class_slices_vae"][0].axes]
    assert titles[:3] == ["input", "anomaly map", "labels"]
    labels = [axes.get_ylabel() for axes in added["class_slices_vae"][0].axes[::3]]
    assert [one.split("\n")[0] for one in labels[:2]] == ["tumour", "cavity"]


def test_cohorts_without_classes_have_no_such_rows_and_figures(tmp_path):
    labels, score = made(1)
    brain = np.ones(SHAPE, np.uint8)
    pack = write_pack(tmp_path, {"sub-1": {"brain": brain, "lesion": labels, "image": brain}})
    detect_filter_segment(tmp_path, pack, {"sub-1": score})
    metrics, curves = evaluate(tmp_path, {"sub-1": "test"})
    assert not metrics["metric"].str.contains(":").any() and curves["test"]["classes"] == {}
    figures = SimpleNamespace(looks={}, add=None)
    add_class_curves(figures, "wmh", {"VAE": curves["test"]})
    add_class_boxes(figures, "wmh", metrics.assign(title="VAE"), {})
