"""The scripts on a scan whose label map has a label that the cohort does not choose."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from snakemake.iocontainers import Wildcards

import job
from normscan.evaluation.residuals import load_residuals
from normscan.figures.examples import example
from normscan.figures.side_by_side import add_examples
from normscan.files import load_nifti, read_tsv, save_nifti, write_json
from normscan.postprocessing.histograms import load_histograms
from normscan.preprocessing.transforms import write_affine
from normscan.slices.index import PackIndex, ScanEntry

SCRIPTS = Path(job.__file__).parent
SHAPE, AFFINE = (16, 16, 8), np.diag([2.0, 2, 2, 1])
LESION, OTHER, FALSE = np.s_[2:5, 2:5, 1:4], np.s_[8:12, 8:12, 4:8], np.s_[2:4, 12:14, 1:3]


def run(script: str, **given) -> None:
    """Run a script as Snakemake would."""
    wildcards = Wildcards(fromdict=given.pop("wildcards", {}))
    values = {key: SimpleNamespace(**value) for key, value in given.items()}
    snakemake = SimpleNamespace(
        rule=Path(script).stem, wildcards=wildcards, log=[], threads=1, **values
    )
    runpy.run_path(str(SCRIPTS / script), init_globals={"snakemake": snakemake})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One scan filtered and segmented: a lesion (1), other pathology (2), a false alarm."""
    folder = tmp_path_factory.mktemp("scan")
    labels, score = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 0.01, np.float32)
    labels[LESION], labels[OTHER] = 1, 2
    for place in (LESION, OTHER, FALSE):
        score[place] = 0.9
    brain = np.ones(SHAPE, np.uint8)
    for name, volume in {"labels": labels, "map": score, "brain": brain, "input": brain}.items():
        save_nifti(folder / f"{name}.nii.gz", volume, AFFINE)
    entry = ScanEntry(
        scan="sub-01", subject="01", session="", first=0, count=8, z=list(range(8)), shape=SHAPE,
        affine=AFFINE.tolist(), brain=str(folder / "brain.nii.gz"),
        lesions=str(folder / "labels.nii.gz"), native={"FLAIR": str(folder / "brain.nii.gz")},
        transforms={"FLAIR": [write_affine(folder / "identity.mat", np.eye(4))]},
    )  # fmt: skip
    pack = PackIndex("wmh", "00", 16, ["FLAIR"], [], "atlas", {}, {}, [entry])
    write_json(folder / "index.json", pack.to_json())
    paths = {"map": str(folder / "map.nii.gz"), "input": str(folder / "input.nii.gz")}
    write_json(folder / "maps.json", {"scans": {"sub-01": paths}})
    write_json(folder / "thresholds.json", {"none": {"fixed": {"threshold": 0.5}}})
    write_json(folder / "froc.json", {"none": [0.5]})
    inputs = {
        "maps": folder / "maps.json", "index": folder / "index.json",
        "filtered": folder / "filtered.json", "thresholds": folder / "thresholds.json",
        "froc": folder / "froc.json",
    }  # fmt: skip
    params = {
        "erosion": 0, "median": 1, "lesion_labels": [1], "prior": "none", "minimum_voxels": 4,
        "primary": "fixed", "contrast": "FLAIR", "folder": str(folder / "out"),
    }  # fmt: skip
    filtered = {"manifest": folder / "filtered.json", "histograms": folder / "scores.npz",
                "residuals": folder / "residuals.json"}  # fmt: skip
    run("filter_maps.py", input=inputs, params=params, output=filtered, wildcards={"prior": "none"})
    outputs = {name: folder / f"detected{end}" for name, end in
               (("manifest", ".json"), ("scores", ".tsv"), ("froc", "-froc.tsv"))}  # fmt: skip
    run("segment.py", input=inputs, params=params, output=outputs, wildcards={})
    return folder


def test_histograms_and_residuals_leave_them_out(results):
    histogram = load_histograms(results / "scores.npz")["sub-01"]
    assert histogram.lesion.sum() == 27
    assert histogram.normal.sum() == np.prod(SHAPE) - 27 - 64
    normal, anomalous = load_residuals(results / "residuals.json")["sub-01"]
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
    files = json.loads((results / "detected.json").read_text())["scans"]["sub-01"]
    row = example(files, "best", {"expected": "restored"}, [1])
    # The other label has more voxels, in slices without any lesion.
    z = 1
    labels = load_nifti(results / "labels.nii.gz")[0]
    np.testing.assert_array_equal(row["truth"], labels[:, :, z] == 1)
    np.testing.assert_array_equal(row["ignored"], labels[:, :, z] == 2)
    assert example(files, "best", {"expected": "restored"}, [])["truth"].sum() == 16


def test_the_patient_in_the_middle_is_chosen_by_what_is_sought(results):
    files = json.loads((results / "detected.json").read_text())["scans"]["sub-01"]
    scans = {}
    # Lesion voxels 27, 28 and 29; with the other label 27, 1,000 and 500.
    for number, other in enumerate((0, 972, 471)):
        labels = np.zeros(SHAPE, np.uint8)
        labels[LESION] = 1
        labels[5, 2, 1 : 1 + number] = 1
        labels.reshape(-1)[-other or labels.size :] = 2
        path = results / f"labels-{number}.nii.gz"
        save_nifti(path, labels, AFFINE)
        scans[f"sub-{number}"] = {**files, "lesions": str(path)}
    manifest = results / "free" / "manifest.json"
    write_json(manifest, {"scans": scans})
    shown = []
    figures = SimpleNamespace(add=lambda figure, name, section, title, caption: shown.append(title))
    of = SimpleNamespace(
        whole=["a"], by_title={"a": {"folder": "free"}},
        subject_of=lambda cohort: {scan: scan for scan in scans},
    )  # fmt: skip
    add_examples(figures, "wmh", of, [str(manifest)], [1])
    assert shown == ["wmh: sub-1"]
