"""The scripts on a scan whose label map has a label that the cohort does not choose."""

from types import SimpleNamespace

import numpy as np
import pytest
from handed_on import detect_filter_segment
from made_pack import write_pack

from normscan.evaluation.found import Found
from normscan.evaluation.residuals import load_residuals
from normscan.figures.examples import example
from normscan.figures.side_by_side import add_examples
from normscan.files import read_tsv
from normscan.postprocessing.histograms import load_histograms

SHAPE = (16, 16, 8)
LESION, OTHER, FALSE = np.s_[2:5, 2:5, 1:4], np.s_[8:12, 8:12, 4:8], np.s_[2:4, 12:14, 1:3]


def made_labels() -> np.ndarray:
    """A lesion (1) and other pathology (2)."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[LESION], labels[OTHER] = 1, 2
    return labels


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One scan filtered and segmented: a lesion (1), other pathology (2), a false alarm."""
    folder = tmp_path_factory.mktemp("scan")
    score = np.full(SHAPE, 0.01, np.float32)
    for place in (LESION, OTHER, FALSE):
        score[place] = 0.9
    brain = np.ones(SHAPE, np.uint8)
    pack = write_pack(folder, {"sub-01": {"brain": brain, "lesion": made_labels(), "image": brain}})
    detect_filter_segment(
        folder, pack, {"sub-01": score}, threshold=0.5, lesion_labels=[1], minimum_voxels=4
    )
    return folder


def test_histograms_and_residuals_leave_them_out(results):
    histogram = load_histograms(results / "filtered.npz")["sub-01"]
    assert histogram.lesion.sum() == 27
    assert histogram.normal.sum() == np.prod(SHAPE) - 27 - 64
    normal, anomalous = load_residuals(results / "filtered-residuals.json")["sub-01"]
    assert (normal.count, anomalous.count) == (histogram.normal.sum(), 27)
    assert normal.total == pytest.approx(0.9 * 8 + 0.01 * (normal.count - 8), rel=1e-5)


def test_scores_and_froc_leave_them_out(results):
    rows = read_tsv(results / "detected.tsv")
    value = dict(zip(rows["metric"], rows["value"]))
    assert value["dice"] == pytest.approx(2 * 27 / (27 + 35))
    assert value["detected_volume_ml"] == pytest.approx(35 * 0.008)
    assert value["volume_error_ml"] == pytest.approx(8 * 0.008)
    assert (value["detections"], value["false_positives"], value["lesions"]) == (2, 1, 1)
    froc = read_tsv(results / "detected-froc.tsv").iloc[0]
    assert (froc["lesions"], froc["found"], froc["false_positives"]) == (1, 1, 1)


def test_figures_show_and_choose_slices_by_what_is_sought(results):
    found = Found(results / "detected.json")
    row = example(found, "sub-01", "best", {"expected": "restored"}, [1])
    # The other label has more voxels, in slices without any lesion.
    z = 1
    labels = made_labels()
    np.testing.assert_array_equal(row["truth"], labels[:, :, z] == 1)
    np.testing.assert_array_equal(row["ignored"], labels[:, :, z] == 2)
    np.testing.assert_array_equal(row["image"], np.ones(SHAPE[:2]))
    np.testing.assert_array_equal(row["detection"], row["map"] > 0.5)
    everything = example(found, "sub-01", "best", {"expected": "restored"}, [])
    assert everything["truth"].sum() == 16


def test_the_patient_in_the_middle_is_chosen_by_what_is_sought(tmp_path):
    scans, brain = {}, np.ones(SHAPE, np.uint8)
    # Lesion voxels 27, 28 and 29; with the other label 27, 1,000 and 500.
    for number, other in enumerate((0, 972, 471)):
        labels = np.zeros(SHAPE, np.uint8)
        labels[LESION] = 1
        labels[5, 2, 1 : 1 + number] = 1
        labels.reshape(-1)[-other or labels.size :] = 2
        scans[f"sub-{number}"] = {"brain": brain, "lesion": labels, "image": brain}
    maps = dict.fromkeys(scans, np.ones(SHAPE, np.float32))
    detect_filter_segment(tmp_path, write_pack(tmp_path, scans), maps, lesion_labels=[1])
    shown = []
    figures = SimpleNamespace(
        add=lambda figure, name, section, title, caption: shown.append(title),
        orientation="neurological",
        sides="",
    )
    of = SimpleNamespace(
        whole=["a"], by_title={"a": {"variant": "vae", "seed": 0}},
        subject_of=lambda cohort: {scan: scan for scan in scans},
    )  # fmt: skip
    add_examples(figures, "wmh", of, [str(tmp_path / "detected.json")], [1])
    assert shown == ["wmh: sub-1"]
    add_examples(figures, "another", of, [str(tmp_path / "detected.json")], [1])
    assert shown == ["wmh: sub-1"]
