"""Detectors that score whole slices: from their scores to metrics, figures and the leaderboard."""

import numpy as np
import pandas
import pytest
from handed_on import evaluate, filter_and_segment, write_detections
from made_pack import write_pack
from sklearn.metrics import average_precision_score, roc_auc_score

from normscan.evaluation import study
from normscan.evaluation.compared import Compared
from normscan.evaluation.found import Found
from normscan.figures.cohort import add_curves, add_residuals, add_scores, add_slices, first_seeds
from normscan.figures.cohort import titled as with_titles
from normscan.figures.collection import Figures
from normscan.figures.comparison import (
    add_bars,
    add_correlations,
    add_networks,
    add_shares,
    add_shift,
    add_significance,
)
from normscan.figures.side_by_side import add_examples
from normscan.files import read_tsv
from normscan.postprocessing.pooling import operating_points, scores_only_slices
from normscan.postprocessing.thresholds import ONLY_SLICES
from normscan.report.leaderboard import leaderboard

SHAPE = (8, 8, 14)
SPLITS = {"sub-1": "test", "sub-2": "test", "sub-3": "validation"}


def made_scan(seed: int) -> dict[str, np.ndarray]:
    """Brain in slices 1 to 12 (little of it in the last); lesions, other labels, one beyond it."""
    random = np.random.default_rng(seed)
    brain, lesion = np.zeros((2, *SHAPE), np.uint8)
    brain[1:7, 1:7, 1:12] = 1
    brain[3, 3, 12] = 1
    lesion[2:4, 2, 2 + seed % 3] = 1
    lesion[2:4, 2, 5:7] = 1
    # A slice with both is anomalous, one with the other label only does not count.
    lesion[5, 5, 6:8] = 2
    lesion[4, 4, 13] = 1
    return {"brain": brain, "lesion": lesion, "image": brain * random.random(SHAPE)}


@pytest.fixture(scope="module")
def scans():
    return {scan: made_scan(seed) for seed, scan in enumerate(SPLITS)}


@pytest.fixture(scope="module")
def scores():
    """One score per slice with enough brain, of either sign."""
    random = np.random.default_rng(5)
    return {scan: np.round(random.normal(size=11), 1) for scan in SPLITS}


@pytest.fixture(scope="module")
def only_slices(scans, scores, tmp_path_factory):
    """Everything after detection, without any map: folder, metrics, curves."""
    folder = tmp_path_factory.mktemp("slices")
    pack = write_pack(folder, scans, min_brain_voxels=5)
    write_detections(folder, pack, dict.fromkeys(scans), scores=scores)
    filter_and_segment(folder, pack, threshold=None, lesion_labels=[1])
    return folder, *evaluate(folder, SPLITS)


def expected(scans, scores, split="test"):
    """Areas of the slices that count, by hand."""
    truth, found = [], []
    for scan, own in SPLITS.items():
        if own == split:
            labels = scans[scan]["lesion"][:, :, 1:12]
            lesion, other = (labels == 1).any(axis=(0, 1)), (labels == 2).any(axis=(0, 1))
            assert (other & ~lesion).sum() == 1
            truth += lesion[lesion | ~other].tolist()
            found += scores[scan][lesion | ~other].tolist()
    return {"auroc": roc_auc_score(truth, found), "auprc": average_precision_score(truth, found)}


def areas(metrics, split="test"):
    rows = metrics[(metrics["level"] == "slice") & (metrics["split"] == split)]
    assert rows["scan"].isna().all() and (rows["threshold_rule"] == "none").all()
    return dict(zip(rows["metric"], rows["value"]))


def test_slices_of_all_patients_have_areas_and_voxels_have_no_metrics(only_slices, scans, scores):
    _, metrics, curves = only_slices
    for split in ("test", "validation"):
        assert areas(metrics, split) == pytest.approx(expected(scans, scores, split), abs=1e-12)
    assert set(metrics[metrics["level"] != "slice"]["metric"]) <= {"threshold"}
    assert curves == {}


def test_a_detector_with_both_has_both(only_slices, scans, scores, tmp_path):
    pack = write_pack(tmp_path, scans, min_brain_voxels=5)
    maps = {scan: one["image"].astype(np.float32) for scan, one in scans.items()}
    found = {}
    for name, given in (("both", scores), ("voxels", None)):
        folder = tmp_path / name
        folder.mkdir()
        write_detections(folder, pack, maps, scores=given)
        filter_and_segment(folder, pack, lesion_labels=[1])
        found[name], curves = evaluate(folder, SPLITS)
        assert set(curves) == {"test", "validation"}
    assert areas(found["both"]) == pytest.approx(areas(only_slices[1]))
    without = found["both"][found["both"]["level"] != "slice"].reset_index(drop=True)
    pandas.testing.assert_frame_equal(without, found["voxels"])


def test_there_is_no_operating_point_and_that_is_said(only_slices):
    path = str(only_slices[0] / "filtered.npz")
    assert scores_only_slices([path])
    rule = {"label": "fpr", "kind": "healthy_fpr", "settings": {"rate": 0.01}}
    points = operating_points([rule], None, ["healthy"], [path], {"wmh": set()}, True)
    assert points["fpr"]["threshold"] is None and points["fpr"]["reason"] == ONLY_SLICES


def approaches():
    """A detector with maps and one without, as the plan describes them."""
    common = {"seed": 0, "share": 100, "network": "", "detector": "x", "training_free": False}
    common |= {"baseline": False, "look": "", "line": "solid", "expected": "reconstruction"}
    return [
        {**common, "variant": name, "title": name.upper(), "name": name, "model": name,
         "folder": f"p/{name}/seed-0"}
        for name in ("ae", "svdd")
    ]  # fmt: skip


def both_metrics(only_slices):
    """Metric rows of both: voxels of one, slices of the other."""
    slices = only_slices[1].assign(approach="p/svdd")
    slices = slices[slices["level"] == "slice"]
    rows = [
        ["wmh", "p/ae", 0, "test", level, subject, subject, "none", metric, value]
        for metric, value in (("auprc", 0.4), ("auroc", 0.8), ("l1_normal", 0.1))
        for level, subject in (("cohort", None), ("subject", "1"), ("subject", "2"))
    ]
    return pandas.concat([pandas.DataFrame(rows, columns=slices.columns), slices])


@pytest.mark.parametrize("alone", [True, False])
def test_figures_show_those_that_have_maps(only_slices, tmp_path, alone):
    metrics = both_metrics(only_slices)
    ours = approaches()[1:] if alone else approaches()
    metrics = metrics[metrics["approach"].isin([f"p/{one['variant']}" for one in ours])]
    first = first_seeds(ours)
    titled = with_titles(metrics, "wmh", "p", first)
    figures = Figures(tmp_path)
    add_curves(figures, "wmh", {})
    add_scores(figures, "wmh", titled, first)
    add_residuals(figures, "wmh", {}, titled)
    manifest = str(only_slices[0] / "detected.json")
    for one in ours:
        add_slices(figures, "wmh", "p", [manifest], one, titled, [1])
    of = Compared(metrics, "p", ours)
    add_bars(figures, of)
    add_shares(figures, of)
    add_shift(figures, of)
    add_networks(figures, of, {})
    assert add_correlations(figures, of) is not None
    tests = study.comparisons(of.metrics, "wmh", "fpr")
    add_significance(figures, "wmh", tests[tests["metric"] == "auprc"])
    add_examples(figures, "wmh", of, [manifest], [1])
    assert study.patient_statistics(of.metrics, "wmh", "fpr")["approach"].isin(["AE"]).all()
    assert (figures.done == []) == alone


def test_their_manifest_has_no_maps_to_show(only_slices, scans):
    found = Found(only_slices[0] / "detected.json")
    assert found.scans == list(scans) and not found.scores_voxels
    assert found.filtered("sub-1") is None and found.detected("sub-1") is None
    assert set(found.slices("sub-1", 3)) == {"image"}
    assert read_tsv(only_slices[0] / "detected-components.tsv").empty


def test_the_leaderboard_has_columns_of_slices_and_no_verdict_on_voxels(only_slices):
    metrics = both_metrics(only_slices)
    titles = {"p/ae": "AE", "p/svdd": "SVDD"}
    board = leaderboard(metrics, titles=titles, baseline={"p": ["ae"]})
    assert [column.label for column in board.columns][-2:] == ["AUPRC slices", "AUROC slices"]
    voxels, slices = board.rows
    assert voxels.title == "AE" and voxels.cells[0].mean == 0.4
    assert np.isnan(voxels.cells[-1].mean) and np.isnan(slices.cells[0].mean)
    assert slices.cells[-2].mean == pytest.approx(areas(metrics)["auprc"])
    assert slices.verdict == "scores slices only"
    without = leaderboard(metrics[metrics["level"] != "slice"], titles=titles)
    assert not any(column.of_slices for column in without.columns)
