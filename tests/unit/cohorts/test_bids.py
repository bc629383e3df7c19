"""The BIDS reader: which files are a scan's images and masks."""

import os
from pathlib import Path

import pytest
from made_cohorts import names, touch

from normscan.cohorts.bids import read_bids
from normscan.cohorts.checks import check_scan
from normscan.cohorts.load import load_cohort


def only_scan(folder, *files):
    """The one scan of a folder that holds these (empty) files."""
    scans, problems = read_bids(touch(folder, *files), "c")
    assert problems == []
    assert len(scans) == 1
    return names(scans[0], folder)


def anat(*ends, subject="01"):
    return [f"sub-{subject}/anat/sub-{subject}_{end}.nii.gz" for end in ends]


def test_contrasts(tmp_path):
    found = only_scan(
        tmp_path, *anat("T1w", "T2w", "FLAIR", "PDw", "ce-gadolinium_T1w", "T2star", "T1map")
    )
    assert found == {
        "FLAIR": "sub-01/anat/sub-01_FLAIR.nii.gz",
        "PD": "sub-01/anat/sub-01_PDw.nii.gz",
        "T1ce": "sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz",
        "T1w": "sub-01/anat/sub-01_T1w.nii.gz",
        "T2w": "sub-01/anat/sub-01_T2w.nii.gz",
    }


def test_sessions_and_subjects_are_scans_in_order(tmp_path):
    touch(
        tmp_path,
        "sub-b/ses-2/anat/sub-b_ses-2_T1w.nii.gz",
        "sub-b/ses-1/anat/sub-b_ses-1_T1w.nii",
        "sub-a/anat/sub-a_T1w.nii.gz",
    )
    scans, _ = read_bids(tmp_path, "c")
    assert [scan.id for scan in scans] == ["sub-a", "sub-b_ses-1", "sub-b_ses-2"]
    assert [scan.session for scan in scans] == ["", "1", "2"]


@pytest.mark.parametrize(
    "there, chosen",
    [
        (["run-2_T1w", "run-1_T1w"], "run-1_T1w"),
        (["run-10_T1w", "run-9_T1w"], "run-9_T1w"),
        (["acq-fast_T1w", "run-2_T1w"], "run-2_T1w"),
        (["acq-fast_T1w", "T1w", "rec-norm_T1w"], "T1w"),
        (["space-MNI_desc-brain_T1w", "desc-brain_T1w"], "desc-brain_T1w"),
        (["acq-b_T1w", "acq-a_T1w"], "acq-a_T1w"),
        (["part-phase_T1w", "acq-a_part-mag_T1w"], "acq-a_part-mag_T1w"),
    ],
)
def test_one_of_several_files_is_chosen_by_rule(tmp_path, there, chosen):
    expected = {"T1w": f"sub-01/anat/sub-01_{chosen}.nii.gz"}
    assert only_scan(tmp_path / "a", *anat(*there)) == expected
    assert only_scan(tmp_path / "b", *anat(*reversed(there))) == expected


@pytest.mark.parametrize(
    "mask",
    [
        "label-lesion_mask",
        "space-FLAIR_label-lesion_dseg",
        "label-tumour_dseg",
        "label-L_dseg",
        "desc-wmh_mask",
        "T1w_label-lesion_roi",
        "roi",
        "lesion_mask",
        "lesion_T1w",
        "FLAIR_lesion",
    ],
)
def test_lesion_masks_beside_images_and_in_derivatives(tmp_path, mask):
    beside = only_scan(tmp_path / "a", *anat("FLAIR", mask))
    assert beside["lesion_mask"] == f"sub-01/anat/sub-01_{mask}.nii.gz"
    assert "brain_mask" not in beside
    for number, folder in enumerate(
        ["derivatives/", "derivatives/manual/", "derivatives/manual-2/"]
    ):
        place = f"{folder}{anat(mask)[0]}"
        found = only_scan(tmp_path / str(number), *anat("FLAIR"), place)
        assert found == {"FLAIR": "sub-01/anat/sub-01_FLAIR.nii.gz", "lesion_mask": place}


@pytest.mark.parametrize(
    "mask", ["desc-brain_mask", "label-brain_mask", "space-T1w_desc-brain_mask"]
)
def test_brain_masks(tmp_path, mask):
    found = only_scan(tmp_path, *anat("T1w"), f"derivatives/x/{anat(mask)[0]}")
    assert found["brain_mask"] == f"derivatives/x/{anat(mask)[0]}"
    assert "lesion_mask" not in found


@pytest.mark.parametrize(
    "other",
    ["dseg", "desc-aseg_dseg", "label-GM_dseg", "label-GM_probseg", "label-lesion_probseg",
     "desc-lesionfilled_T2star", "desc-hippocampus_mask", "label-brain_dseg"],
)  # fmt: skip
def test_other_maps_are_no_lesions(tmp_path, other):
    assert list(only_scan(tmp_path, *anat("T1w", other))) == ["T1w"]


def test_images_in_derivatives_are_passed_over(tmp_path):
    made = [f"derivatives/prep/{path}" for path in anat("desc-preproc_T1w", "FLAIR")]
    assert list(only_scan(tmp_path, *anat("T1w"), *made)) == ["T1w"]


def test_a_mask_in_the_space_of_the_images_comes_first(tmp_path):
    masks = anat("label-lesion_mask", "space-MNI_label-lesion_mask")
    found = only_scan(tmp_path / "a", *anat("space-MNI_T1w"), *masks)
    assert found["lesion_mask"] == "sub-01/anat/sub-01_space-MNI_label-lesion_mask.nii.gz"
    found = only_scan(tmp_path / "b", *anat("T1w"), *masks)
    assert found["lesion_mask"] == "sub-01/anat/sub-01_label-lesion_mask.nii.gz"


def test_label_lesion_comes_before_other_labels(tmp_path):
    found = only_scan(tmp_path, *anat("T1w", "label-cyst_dseg", "acq-x_label-lesion_mask"))
    assert found["lesion_mask"] == "sub-01/anat/sub-01_acq-x_label-lesion_mask.nii.gz"


def test_a_mask_without_session_belongs_to_an_only_session(tmp_path):
    mask = "derivatives/m/sub-01/anat/sub-01_label-lesion_mask.nii.gz"
    first = "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    assert only_scan(tmp_path, first, mask)["lesion_mask"] == mask
    touch(tmp_path, "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz")
    scans, _ = read_bids(tmp_path, "c")
    assert [scan.lesion_mask for scan in scans] == ["", ""]


def test_the_folder_says_the_session_when_the_name_does_not(tmp_path):
    touch(tmp_path, "sub-01/ses-1/anat/sub-01_T1w.nii.gz", "sub-01/ses-2/anat/sub-01_T1w.nii.gz")
    scans, problems = read_bids(tmp_path, "c")
    assert ([scan.id for scan in scans], problems) == (["sub-01_ses-1", "sub-01_ses-2"], [])


@pytest.mark.parametrize(
    "path, where",
    [
        ("sub-01/anat/sub-02_T1w.nii.gz", "the folder of sub-01"),
        ("sub-01/ses-1/anat/sub-01_ses-2_T1w.nii.gz", "the folder of sub-01_ses-1"),
    ],
)
def test_a_file_in_a_wrong_folder_is_a_problem(tmp_path, path, where):
    _, problems = read_bids(touch(tmp_path, *anat("FLAIR"), path), "c")
    assert len(problems) == 1
    for fragment in (path, where, "rename or move it"):
        assert fragment in problems[0]


def test_participants_give_covariates(tmp_path):
    touch(tmp_path, *anat("T1w"), *anat("T1w", subject="02"))
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tsex\nsub-01\t31.5\tF\nsub-02\tn/a\tM\nsub-03\t1\tM\n"
    )
    scans, _ = read_bids(tmp_path, "c")
    assert [scan.covariates for scan in scans] == [{"age": "31.5", "sex": "F"}, {"sex": "M"}]


def test_rawdata_and_links(tmp_path):
    touch(tmp_path / "store", "a.nii.gz")
    touch(tmp_path / "data" / "rawdata", *anat("T1w"))
    os.symlink(tmp_path / "store/a.nii.gz", tmp_path / "data/rawdata/sub-01/anat/sub-01_T2w.nii.gz")
    (scan,), _ = read_bids(tmp_path / "data", "c")
    assert sorted(scan.images) == ["T1w", "T2w"]


def test_other_folders_are_not_searched(tmp_path):
    found = only_scan(
        tmp_path,
        *anat("T1w"),
        "sub-01/func/sub-01_T2w.nii.gz",
        "sourcedata/sub-01/anat/sub-01_FLAIR.nii.gz",
        "derivatives/freesurfer/sub-01/mri/sub-01_desc-brain_mask.nii.gz",
    )
    assert list(found) == ["T1w"]


def entry(folder, **more):
    return {"source": "bids", "path": str(folder), "role": "healthy", **more}


def warned(folder, **more):
    return load_cohort("c", entry(folder, **more), folder, results=folder)[0].warnings


def test_runs_that_stand_for_each_other_are_told(tmp_path):
    touch(tmp_path, *anat("run-2_FLAIR", "run-1_FLAIR", "T1w", "desc-preproc_T1w"))
    (line,) = warned(tmp_path)
    listed = "(sub-01_run-1_FLAIR.nii.gz, sub-01_run-2_FLAIR.nii.gz)"
    assert line.startswith(f"sub-01: has 2 files for FLAIR {listed}; the first is used")


def test_a_subject_whose_folder_has_no_image_is_told(tmp_path):
    touch(tmp_path, *anat("T1w"), *anat("bold", subject="02"), *anat("T1w", subject="03"))
    (tmp_path / "rawdata" / "sub-04").mkdir(parents=True)
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tgroup\nsub-01\ta\nsub-02\ta\nsub-04\tb\n"
    )
    told = [line.partition(":")[0] for line in warned(tmp_path)]
    assert told == ["sub-02", "sub-04"]
    assert "its folder has no image that is used (T1w, T2w, FLAIR" in warned(tmp_path)[0]
    # Only of those that the entry would take.
    assert [line[:6] for line in warned(tmp_path, where={"group": "a"})] == ["sub-02"]
    assert [line[:6] for line in warned(tmp_path, exclude=["sub-02"])] == ["sub-04"]
    assert warned(tmp_path, include=["sub-01"]) == ()


def test_nothing_found_says_what_is_expected(tmp_path):
    _, (problem,) = read_bids(touch(tmp_path, "IXI012-T1.nii.gz"), "c")
    for fragment in (str(tmp_path), "no image found", "sub-*/[ses-*/]anat/sub-*_T1w.nii.gz"):
        assert fragment in problem


def real_folder(name):
    root = os.environ.get("NORMSCAN_REALDATA", "")
    folder = Path(root, name)
    if not root or not folder.is_dir():
        pytest.skip("NORMSCAN_REALDATA names no folder with these scans")
    return folder


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name, role, scans, contrasts, masks",
    [
        ("mslub-mni", "patients", 1, ["FLAIR", "T1ce", "T1w", "T2w"], (False, True)),
        ("mslub-longitudinal-raw", "unlabelled", 2, ["FLAIR", "T1w", "T2w"], (False, False)),
        ("brats2015-two-cases", "patients", 2, ["FLAIR", "T1ce"], (True, True)),
        ("ixi-t1w-2mm", "healthy", 44, ["T1w"], (False, False)),
    ],
)
def test_real_folders_are_read_and_sound(name, role, scans, contrasts, masks):
    folder = real_folder(name)
    entry = {"source": "bids", "path": str(folder), "role": role}
    cohort, excluded = load_cohort("real", entry, folder, results=folder)
    assert len(cohort.scans) == scans
    assert excluded == {}
    for scan in cohort.scans:
        assert sorted(scan.images) == contrasts
        assert (bool(scan.brain_mask), bool(scan.lesion_mask)) == masks
    for scan in cohort.scans[:2]:
        report = check_scan(scan, contrasts, role, {}, skull_stripped="raw" not in name)
        # Intensities of this one did wrap around upstream.
        known = "looks like noise" if name == "ixi-t1w-2mm" else "nothing"
        assert report["problems"] == [one for one in report["warnings"] if known not in one] == []
    if name == "ixi-t1w-2mm":
        assert all(set(scan.covariates) == {"age", "sex"} for scan in cohort.scans)


@pytest.mark.parametrize("name", ["seg-anatomy_dseg", "desc-anatomy_dseg", "label-anatomy_dseg"])
def test_label_maps_of_anatomy_are_no_lesions(tmp_path, name):
    place = f"derivatives/manual/{anat(name)[0]}"
    found = only_scan(tmp_path, *anat("T1w", "label-lesion_dseg"), place)
    assert found["anatomy"] == place
    assert found["lesion_mask"] == "sub-01/anat/sub-01_label-lesion_dseg.nii.gz"
