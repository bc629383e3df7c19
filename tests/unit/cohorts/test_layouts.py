"""Known public layouts on made folders of empty files."""

import pytest
from made_cohorts import names, touch

from normscan.cohorts.layouts import layout_names, read_layout, scans_of_layout
from normscan.cohorts.load import load_cohort
from normscan.cohorts.scans import CONTRASTS, PRIORS, ROLES


def found(folder, layout, *files):
    """Files of every scan by id."""
    scans, problems = scans_of_layout(touch(folder, *files), layout, "c")
    assert problems == []
    return {scan.id: names(scan, folder) for scan in scans}


def test_every_layout_states_all_defaults():
    known = {"brats", "isles2015", "ixi", "mood", "mslub", "msseg2015", "wmh"}
    assert known <= set(layout_names())
    for name in layout_names():
        layout = read_layout(name)
        defaults = layout["defaults"]
        assert set(defaults) - {"ignored_labels"} == {
            "role",
            "prior",
            "skull_stripped",
            "space",
            "lesion_classes",
        }
        assert defaults["role"] in ROLES
        assert defaults["prior"] in PRIORS
        assert isinstance(defaults["skull_stripped"], bool)
        assert set(layout["patterns"]) <= {*CONTRASTS, "brain_mask", "lesion_mask", "anatomy"}
        assert layout["description"]


def brats(patient, separator, *ends):
    return [f"{patient}/{patient}{separator}{end}.nii.gz" for end in ends]


@pytest.mark.parametrize(
    "folder, patient, label",
    [
        ("", "BraTS2021_00002", "sub-BraTS202100002"),
        ("MICCAI_BraTS2020_TrainingData/", "BraTS20_Training_001", "sub-BraTS20Training001"),
        ("HGG/", "Brats18_CBICA_AAB_1", "sub-Brats18CBICAAAB1"),
    ],
)
def test_brats_until_2022(tmp_path, folder, patient, label):
    files = [folder + one for one in brats(patient, "_", "flair", "t1", "t1ce", "t2", "seg")]
    (scan,) = found(tmp_path, "brats", *files).items()
    assert scan == (
        label,
        dict(zip(["FLAIR", "T1w", "T1ce", "T2w", "lesion_mask"], files, strict=True)),
    )


def test_brats_since_2023_keeps_visits_of_a_patient_together(tmp_path):
    ends = ("t2f", "t1n", "t1c", "t2w", "seg")
    first = brats("BraTS-GLI-00000-000", "-", *ends)
    second = brats("BraTS-GLI-00000-001", "-", *ends)
    scans = found(tmp_path, "brats", *first, *second)
    assert list(scans) == ["sub-BraTSGLI00000_ses-000", "sub-BraTSGLI00000_ses-001"]
    kinds = ["FLAIR", "T1w", "T1ce", "T2w", "lesion_mask"]
    assert scans["sub-BraTSGLI00000_ses-001"] == dict(zip(kinds, second, strict=True))


KINDS = {"FLAIR": "FLAIR", "T1w": "T1W", "T1ce": "T1WKS", "T2w": "T2W"}


@pytest.mark.parametrize(
    "pattern",
    ["patient01/patient01_{}.nii.gz", "patient01/raw/patient01_{}.nii.gz",
     "x/patient01/patient01_{}.nii.gz", "cross_sectional/raw/patient01/{}.nii.gz",
     "patient01/{}.nii.gz"],
)  # fmt: skip
def test_mslub(tmp_path, pattern):
    expected = {kind: pattern.format(name) for kind, name in KINDS.items()}
    expected["lesion_mask"] = pattern.format("consensus_gt")
    expected["brain_mask"] = pattern.format("brainmask")
    assert found(tmp_path, "mslub", *expected.values()) == {"sub-patient01": expected}


def test_msseg2015_has_sessions(tmp_path):
    names_on_disk = {"T1w": "mprage", "T2w": "t2", "PD": "pd", "FLAIR": "flair"}
    expected = {
        f"sub-training0{subject}_ses-0{session}": {
            **{
                kind: f"training0{subject}/preprocessed/training0{subject}_0{session}_{name}_pp.nii"
                for kind, name in names_on_disk.items()
            },
            "lesion_mask": f"training0{subject}/masks/training0{subject}_0{session}_mask1.nii",
        }
        for subject in (1, 2)
        for session in (1, 2, 3)
    }
    others = ["training01/masks/training01_01_mask2.nii", "training01/orig/training01_01_t2.nii"]
    files = [path for one in expected.values() for path in one.values()]
    assert found(tmp_path, "msseg2015", *files, *others) == expected


@pytest.mark.parametrize("truth", ["VSD.Brain.XX.O.OT.70", "VSD.Brain_3more.XX.O.OT.70"])
def test_isles2015(tmp_path, truth):
    folders = {
        "FLAIR": "VSD.Brain.XX.O.MR_Flair.1",
        "T1w": "VSD.Brain.XX.O.MR_T1.2",
        "T2w": "VSD.Brain.XX.O.MR_T2.3",
        "DWI": "VSD.Brain.XX.O.MR_DWI.4",
        "lesion_mask": truth,
    }
    expected = {kind: f"SISS/12/{name}/{name}.nii" for kind, name in folders.items()}
    assert found(tmp_path, "isles2015", *expected.values()) == {"sub-12": expected}


def test_ixi(tmp_path):
    people, kinds = ("IXI012-HH-1211", "IXI013-Guys-1"), ("T1", "T2", "PD")
    files = [f"IXI-{kind}/{name}-{kind}.nii.gz" for name in people for kind in kinds]
    scans = found(tmp_path, "ixi", *files)
    assert scans == {
        "sub-IXI012": dict(zip(["T1w", "T2w", "PD"], files[:3], strict=True)),
        "sub-IXI013": dict(zip(["T1w", "T2w", "PD"], files[3:], strict=True)),
    }
    assert list(found(tmp_path / "flat", "ixi", "IXI012-HH-1211-T1.nii.gz")) == ["sub-IXI012"]


def test_wmh_with_and_without_scanner_folders(tmp_path):
    places = {"sub-0": "training/Utrecht/0", "sub-110": "test/Amsterdam/GE3T/110"}
    ends = {"T1w": "pre/T1", "FLAIR": "pre/FLAIR", "lesion_mask": "wmh"}
    expected = {
        label: {kind: f"{place}/{end}.nii.gz" for kind, end in ends.items()}
        for label, place in places.items()
    }
    files = [path for one in expected.values() for path in one.values()]
    others = ["training/Utrecht/0/orig/FLAIR.nii.gz", "training/Utrecht/0/pre/3DT1.nii.gz"]
    assert found(tmp_path, "wmh", *files, *others) == expected


def test_wmh_counts_label_one_only(tmp_path):
    touch(tmp_path, "Utrecht/0/pre/FLAIR.nii.gz", "Utrecht/0/wmh.nii.gz")
    entry = {"source": "wmh", "path": "."}
    cohort, _ = load_cohort("wmh", entry, tmp_path, results=tmp_path)
    assert cohort.lesion_classes == {"wmh": 1}
    assert (cohort.role, cohort.prior, cohort.skull_stripped) == ("patients", "hyperintense", False)


def test_mood(tmp_path):
    files = ["brain_train/00000.nii.gz", "brain_train/00001.nii.gz"]
    scans = found(tmp_path / "a", "mood", *files, "brain_toy/toy/toy_0.nii.gz")
    assert scans == {"sub-00000": {"T1w": files[0]}, "sub-00001": {"T1w": files[1]}}
    assert list(found(tmp_path / "b", "mood", "00007.nii.gz")) == ["sub-00007"]


def test_hidden_files_are_passed_over(tmp_path):
    files = ["IXI012-HH-1211-T1.nii.gz", "._IXI012-HH-1211-T1.nii.gz", ".x/IXI9-HH-1-T1.nii.gz"]
    assert list(found(tmp_path, "ixi", *files)) == ["sub-IXI012"]


def test_the_order_of_files_does_not_matter_for_the_chosen_pattern(tmp_path):
    plain = "patient01/patient01_FLAIR.nii.gz"
    assert found(tmp_path, "mslub", "patient01/raw/patient01_FLAIR.nii.gz", plain) == {
        "sub-patient01": {"FLAIR": plain}
    }


def test_two_files_for_one_contrast_are_a_problem(tmp_path):
    touch(tmp_path, "a/IXI012-HH-1211-T1.nii.gz", "b/IXI012-HH-1211-T1.nii.gz")
    _, (problem,) = scans_of_layout(tmp_path, "ixi", "c")
    for fragment in ("sub-IXI012: has 2 files for T1w", "a/IXI012", "b/IXI012", "point 'path' to"):
        assert fragment in problem


def test_two_names_for_one_label_are_a_problem(tmp_path):
    touch(tmp_path, "P_1/P_1_flair.nii.gz", "P1/P1_flair.nii.gz")
    _, problems = scans_of_layout(tmp_path, "brats", "c")
    assert any("'P_1' and 'P1' both give the label 'P1'" in one for one in problems)


@pytest.mark.parametrize("layout", layout_names())
def test_a_folder_of_something_else_says_what_is_expected(tmp_path, layout):
    touch(tmp_path, "something/else.nii.gz")
    scans, (problem,) = scans_of_layout(tmp_path, layout, "c")
    assert scans == []
    assert f"{tmp_path}: no file fits the layout '{layout}', which expects: " in problem
    assert next(iter(read_layout(layout)["patterns"].values()))[0] in problem
