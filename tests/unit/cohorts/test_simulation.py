"""Simulated cohorts: what is written, what it depends on, and that truth is the truth."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from normscan.cohorts.checks import check_scan
from normscan.cohorts.plan_simulation import planned_scans
from normscan.cohorts.scans import Scan
from normscan.cohorts.simulation import simulate
from normscan.cohorts.simulation.simulate import simulate_scan, write_description
from normscan.errors import ConfigError
from normscan.files import file_digest, load_nifti, read_json
from normscan.plugins import literals

SMALL = {"head": False, "spacing": 4.0, "oblique": False}


def scan_paths(folder, subject="01", contrasts=("T1w", "T2w", "FLAIR")):
    return [folder / f"sub-{subject}/anat/sub-{subject}_{c}.nii.gz" for c in contrasts]


def truth(folder, name, subject="01"):
    return folder / f"derivatives/truth/sub-{subject}/anat/sub-{subject}_{name}.nii.gz"


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def digests(folder, subject="01"):
    return {p.name: file_digest(p) for p in sorted(folder.rglob(f"sub-{subject}_*"))}


def test_healthy_subject_has_scans_and_brain_mask_and_no_lesions(tmp_path):
    simulate_scan(tmp_path, "01", cohort="c", **SMALL)
    assert files(tmp_path) == [
        "derivatives/truth/sub-01/anat/sub-01_desc-anatomy_dseg.nii.gz",
        "derivatives/truth/sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii.gz",
    ]


def test_files_are_those_that_the_plan_names_and_pass_the_checks(tmp_path):
    settings = {"subjects": 2, "lesion": "mixed", **SMALL}
    scans, problems = planned_scans("c", settings, tmp_path)
    assert not problems
    for scan in scans:
        simulate_scan(tmp_path, scan.subject, cohort="c", lesion="mixed", **SMALL)
        assert all(Path(path).exists() for path in (*scan.images.values(), scan.lesion_mask))
        brain = str(truth(tmp_path, "desc-brain_mask", scan.subject))
        full = Scan("c", scan.subject, "", scan.images, brain, scan.lesion_mask, scan.anatomy)
        tissues = {"csf": 1, "grey_matter": 2, "white_matter": 3}
        stripped = not SMALL.get("head", True)
        for one in (full, replace(full, brain_mask="")):
            report = check_scan(
                one, list(scan.images), "patients", {}, tissues, skull_stripped=stripped
            )
            assert not report["problems"] and not report["warnings"]


def test_settings_are_the_arguments():
    """The workflow passes SETTINGS as arguments; their defaults must not differ."""
    defaults = simulate_scan.__kwdefaults__
    settings = literals(Path(simulate.__file__))["SETTINGS"]
    given = {key: value for key, value in settings.items() if key != "subjects"}
    assert given == {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}


def test_description_of_data_and_of_truth(tmp_path):
    write_description(tmp_path)
    raw = read_json(tmp_path / "dataset_description.json")
    derived = read_json(tmp_path / "derivatives/truth/dataset_description.json")
    assert raw["DatasetType"] == "raw" and derived["DatasetType"] == "derivative"
    assert raw["BIDSVersion"] and raw["Name"]


def test_equal_arguments_give_equal_bytes(tmp_path):
    for name in "ab":
        simulate_scan(tmp_path / name, "01", cohort="c", seed=3, lesion="ms", **SMALL)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


@pytest.mark.parametrize("other", [{"seed": 4}, {"cohort": "d"}, {"subject": "02"}])
def test_seed_cohort_and_subject_make_other_people(tmp_path, other):
    base = {"subject": "01", "cohort": "c", "seed": 3}
    masks = []
    for name, arguments in (("a", base), ("b", base | other)):
        subject = arguments["subject"]
        simulate_scan(tmp_path / name, **arguments, contrasts=["T1w"], **SMALL)
        masks.append(load_nifti(truth(tmp_path / name, "desc-brain_mask", subject))[0])
    same = masks[0].shape == masks[1].shape and np.array_equal(masks[0], masks[1])
    assert not same


def test_a_contrast_does_not_depend_on_the_others(tmp_path):
    simulate_scan(tmp_path / "a", "01", cohort="c", lesion="stroke", **SMALL)
    simulate_scan(tmp_path / "b", "01", cohort="c", lesion="stroke", contrasts=["FLAIR"], **SMALL)
    alone, among = digests(tmp_path / "b"), digests(tmp_path / "a")
    for name in ("sub-01_FLAIR.nii.gz", "sub-01_label-lesion_dseg.nii.gz"):
        assert alone[name] == among[name]


def test_lesions_are_labelled_on_the_first_contrast_without_flair(tmp_path):
    simulate_scan(tmp_path, "01", cohort="c", lesion="ms", contrasts=["T2w", "T1w"], **SMALL)
    image = nibabel.load(scan_paths(tmp_path)[1])
    for name in ("label-lesion_dseg", "desc-brain_mask"):
        mask = nibabel.load(truth(tmp_path, name))
        assert mask.shape == image.shape and np.array_equal(mask.affine, image.affine)


def test_mixed_takes_the_kinds_in_turn(tmp_path):
    for number in ("01", "02", "03", "04"):
        simulate_scan(tmp_path, number, cohort="c", lesion="mixed", contrasts=["FLAIR"], **SMALL)
    found = [
        set(np.unique(load_nifti(truth(tmp_path, "label-lesion_dseg", n), np.uint8)[0]))
        for n in ("01", "02", "03", "04")
    ]
    assert found == [{0, 1}, {0, 1, 2, 4}, {0, 1}, {0, 1}]
    simulate_scan(tmp_path / "b", "04", cohort="c", lesion="ms", contrasts=["FLAIR"], **SMALL)
    path = "sub-04/anat/sub-04_FLAIR.nii.gz"
    assert file_digest(tmp_path / path) == file_digest(tmp_path / "b" / path)


def test_brain_only_scans_are_zero_outside_of_the_brain_and_not_inside(tmp_path):
    simulate_scan(tmp_path, "01", cohort="c", **SMALL)
    brain = load_nifti(truth(tmp_path, "desc-brain_mask"))[0] > 0
    for path in scan_paths(tmp_path):
        assert np.array_equal(load_nifti(path)[0] > 0, brain)


@pytest.mark.parametrize(
    ("contrast", "order"),
    [("T1w", ("csf", "gm", "wm")), ("T2w", ("wm", "gm", "csf")), ("FLAIR", ("csf", "wm", "gm"))],
)
def test_tissues_are_ordered_as_in_the_contrast(tmp_path, contrast, order):
    simulate_scan(tmp_path, "01", cohort="c", contrasts=["T1w", contrast], **SMALL)
    anatomy, _ = simulate._patient(0, "c", "01", "none", 4.0, 2.5, False)
    data, affine = load_nifti(tmp_path / f"sub-01/anat/sub-01_{contrast}.nii.gz")
    place = np.argwhere(data > 0)
    world = place @ affine[:3, :3].T + affine[:3, 3]
    index = tuple(np.rint((world - anatomy.affine[:3, 3]) / 4.0).astype(int).T)
    means = []
    for tissue in order:
        pure = anatomy.tissue(tissue)[index] > 0.8
        assert pure.sum() > 20
        means.append(np.median(data[tuple(place[pure].T)]))
    assert means[0] * 1.15 < means[1] and means[1] * 1.15 < means[2]


@pytest.mark.parametrize("lesion", ["ms", "stroke", "tumour"])
def test_lesions_are_bright_on_flair_and_t2w_and_dark_on_t1w(tmp_path, lesion):
    simulate_scan(tmp_path, "01", cohort="c", lesion=lesion, bias=0.0, **SMALL)
    labels = load_nifti(truth(tmp_path, "label-lesion_dseg"), np.uint8)[0]
    brain = load_nifti(truth(tmp_path, "desc-brain_mask"))[0] > 0
    t1, t2, flair = (load_nifti(path)[0] for path in scan_paths(tmp_path))
    assert (labels[~brain] == 0).all()
    chosen = labels == (2 if lesion == "tumour" else 1)
    white = brain & (labels == 0) & (t1 > np.percentile(t1[brain], 70))
    assert np.median(flair[chosen]) > 1.4 * np.median(flair[white])
    assert np.median(t2[chosen]) > 1.4 * np.median(t2[white])
    assert np.median(t1[chosen]) < 0.9 * np.median(t1[white])


def test_bias_and_noise_can_be_left_out(tmp_path):
    options = SMALL | {"contrasts": ["T1w"], "cohort": "c"}
    for name, bias, noise in (("clean", 0.0, 0.0), ("bias", 0.3, 0.0), ("noise", 0.0, 0.05)):
        simulate_scan(tmp_path / name, "01", bias=bias, noise=noise, **options)
    clean, biased, noisy = (
        load_nifti(tmp_path / name / "sub-01/anat/sub-01_T1w.nii.gz")[0]
        for name in ("clean", "bias", "noise")
    )
    brain = clean > 50
    ratio = biased[brain] / clean[brain]
    assert 0.72 < ratio.min() < 0.95 and 1.05 < ratio.max() < 1.37
    assert np.std((noisy - clean)[brain]) == pytest.approx(0.05 * 600, rel=0.1)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"lesion": "scar"}, "simulation.lesion"),
        ({"contrasts": ["T3w"]}, "simulation.contrasts"),
        ({"contrasts": []}, "simulation.contrasts"),
        ({"spacing": 0}, "simulation.spacing"),
        ({"spacing": [1, 2]}, "simulation.spacing"),
        ({"spacing": {"T1w": "fine"}}, "simulation.spacing"),
        ({"spacing": {"PD": 2}}, "simulation.spacing"),
        ({"spacing": 1e-3}, "simulation.spacing"),
        ({"spacing": True}, "simulation.spacing"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, wrong, key):
    scans, (problem,) = planned_scans("c", wrong, tmp_path)
    assert not scans and problem.startswith(key)
    with pytest.raises(ConfigError, match=key):
        simulate_scan(tmp_path, "01", cohort="c", **wrong)
    assert not files(tmp_path)
