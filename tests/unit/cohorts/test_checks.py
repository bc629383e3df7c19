"""Every bad file gets one clear line; sound files get none."""

import gzip
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from made_cohorts import AFFINE, SHAPE, image, mask, patient

from normscan.cohorts.checks import check_cohorts, check_scan
from normscan.files import file_digest


def problems(scan, needed=("FLAIR", "T1w"), role="patients", classes=None):
    return check_scan(scan, list(needed), role, classes or {})["problems"]


def only(found, *fragments):
    """The one problem, which holds every fragment."""
    assert len(found) == 1, found
    for fragment in fragments:
        assert fragment in found[0], found[0]


def test_a_sound_scan_has_no_problem_and_its_facts_are_right(tmp_path):
    scan = patient(tmp_path)
    report = check_scan(scan, ["FLAIR"], "patients", {})
    assert (report["scan"], report["problems"], report["warnings"]) == ("sub-07", [], [])
    facts = report["facts"]["FLAIR"]
    assert facts["shape"] == list(SHAPE)
    assert facts["zooms"] == [1.0, 1.2, 3.0]
    assert facts["orientation"] == "LAS"
    assert facts["dtype"] == "float32"
    assert facts["sha"] == file_digest(scan.images["FLAIR"])
    assert report["facts"]["T1w"]["voxels"] != facts["voxels"]


def test_missing_file(tmp_path):
    scan = patient(tmp_path)
    (tmp_path / "sub-07/anat/sub-07_FLAIR.nii.gz").unlink()
    missing = patient(tmp_path / "other", images=scan.images, brain_mask="", lesion_mask="")
    found = problems(missing, role="healthy")
    only(found, "sub-07: ", "sub-07_FLAIR.nii.gz", "no such file", "restore it or exclude the scan")


def damaged(path, kind):
    """Damage a sound ``.nii`` or ``.nii.gz`` in one of many ways."""
    content = Path(path).read_bytes()
    raw = gzip.decompress(content) if path.endswith(".gz") else content
    pack = gzip.compress if path.endswith(".gz") else bytes
    changed = {
        "empty": b"",
        "text": b"this is no image\n" * 100,
        "short header": pack(raw[:100]),
        "truncated": pack(raw)[: len(pack(raw)) * 2 // 3],
        "truncated inside": pack(raw[:-500]),
        "not packed": raw,
        "zero voxel": pack(raw[:84] + struct.pack("<f", 0.0) + raw[88:]),
        "negative voxel": pack(raw[:84] + struct.pack("<f", -1.2) + raw[88:]),
        "infinite voxel": pack(raw[:84] + struct.pack("<f", np.inf) + raw[88:]),
    }[kind]
    Path(path).write_bytes(changed)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "kind, fragments",
    [
        ("empty", ["the file is empty (0 bytes)", "copy it again"]),
        ("text", ["not a NIfTI file", "convert it or copy it again"]),
        ("short header", ["not a NIfTI file", "convert it or copy it again"]),
        ("truncated", ["truncated or damaged", "copy it again"]),
        ("truncated inside", ["truncated or damaged", "copy it again"]),
        ("zero voxel", ["has voxels of 1 x 0 x 3 mm", "above 0", "mend the header"]),
        ("negative voxel", ["has voxels of 1 x -1.2 x 3 mm", "above 0", "mend the header"]),
        ("infinite voxel", ["has voxels of 1 x inf x 3 mm", "mend the header"]),
    ],
)
def test_damaged_file(tmp_path, ending, kind, fragments, caplog):
    path = image(tmp_path / f"sub-07_FLAIR{ending}")
    damaged(path, kind)
    scan = patient(tmp_path, images={"FLAIR": path}, brain_mask="", lesion_mask="")
    found = problems(scan, ["FLAIR"], "healthy")
    only(found, "sub-07: ", f"sub-07_FLAIR{ending}", *fragments)
    assert "\n" not in found[0]
    assert not caplog.records


def test_a_file_that_is_not_packed_but_named_gz(tmp_path):
    path = image(tmp_path / "sub-07_FLAIR.nii.gz")
    damaged(path, "not packed")
    scan = patient(tmp_path, images={"FLAIR": path}, brain_mask="", lesion_mask="")
    only(problems(scan, ["FLAIR"], "healthy"), "not a NIfTI file", "convert it or copy it again")


def test_another_image_format_is_no_nifti(tmp_path):
    path = tmp_path / "sub-07_FLAIR.nii"
    nibabel.save(nibabel.MGHImage(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / "a.mgh")
    shutil.copy(tmp_path / "a.mgh", path)
    scan = patient(tmp_path, images={"FLAIR": str(path)}, brain_mask="", lesion_mask="")
    only(problems(scan, ["FLAIR"], "healthy"), "sub-07_FLAIR.nii", "not a NIfTI file")


def with_flair(folder, **made):
    path = image(folder / "bad_FLAIR.nii.gz", **made)
    return patient(folder, images={"FLAIR": path}, brain_mask="", lesion_mask="")


@pytest.mark.parametrize(
    "shape, shown", [((8, 9, 6, 3), "8 x 9 x 6 x 3"), ((8, 9), "8 x 9"), ((8, 9, 1), "8 x 9 x 1")]
)
def test_only_3d_volumes(tmp_path, shape, shown):
    found = problems(with_flair(tmp_path, shape=shape), ["FLAIR"], "healthy")
    only(
        found, "sub-07", "bad_FLAIR.nii.gz", f"is no 3D volume (its shape is {shown})", "give a 3D"
    )


def test_a_fourth_axis_of_length_one_is_fine(tmp_path):
    report = check_scan(with_flair(tmp_path, shape=(*SHAPE, 1)), ["FLAIR"], "healthy", {})
    assert report["problems"] == []
    assert report["facts"]["FLAIR"]["shape"] == list(SHAPE)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers(tmp_path, value):
    data = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    data[1, 2:4, 3] = value
    found = problems(with_flair(tmp_path, data=data), ["FLAIR"], "healthy")
    only(found, "sub-07", "bad_FLAIR", "2 voxels are NaN or infinite", "export the image again")


def test_constant_image(tmp_path):
    found = problems(with_flair(tmp_path, data=np.full(SHAPE, 7, np.int16)), ["FLAIR"], "healthy")
    only(found, "sub-07", "bad_FLAIR.nii.gz", "is constant: every voxel is 7")


def test_colours_are_no_image(tmp_path):
    data = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    found = problems(with_flair(tmp_path, data=data), ["FLAIR"], "healthy")
    only(found, "sub-07", "bad_FLAIR.nii.gz", "colours or complex numbers")


@pytest.mark.parametrize("size", [0.1, 15.0])
def test_absurd_voxel_size(tmp_path, size):
    affine = np.diag([1.0, size, 1.0, 1.0])
    found = problems(with_flair(tmp_path, affine=affine), ["FLAIR"], "healthy")
    only(found, "bad_FLAIR.nii.gz", f"has voxels of 1 x {size:g} x 1 mm", "0.2 to 12 mm")


@pytest.mark.parametrize("size", [0.2, 12.0])
def test_voxel_sizes_at_the_limits_pass(tmp_path, size):
    affine = np.diag([1.0, size, 1.0, 1.0]).astype(np.float32)
    assert problems(with_flair(tmp_path, affine=affine), ["FLAIR"], "healthy") == []


def test_an_affine_that_cannot_be_inverted(tmp_path):
    affine = np.eye(4)
    affine[:3, 1] = affine[:3, 0]
    path = tmp_path / "bad_FLAIR.nii.gz"
    made = nibabel.Nifti1Image(np.random.default_rng(0).random(SHAPE), None)
    made.header.set_sform(affine, code=1)
    made.header.set_zooms((1, 1, 1))
    nibabel.save(made, path)
    scan = patient(tmp_path, images={"FLAIR": str(path)}, brain_mask="", lesion_mask="")
    only(problems(scan, ["FLAIR"], "healthy"), "affine that cannot be inverted", "mend the header")


def test_missing_contrast(tmp_path):
    only(problems(patient(tmp_path), ["T2w"]), "sub-07: has no T2w", "it has: FLAIR, T1w")


def test_all_problems_of_a_scan_come_at_once(tmp_path):
    scan = patient(tmp_path)
    damaged(scan.images["FLAIR"], "empty")
    damaged(scan.images["T1w"], "text")
    mask(tmp_path / "sub-07/anat/sub-07_label-lesion_mask.nii.gz")
    assert len(problems(scan, ["FLAIR", "T1w", "T2w"])) == 4


@pytest.mark.parametrize("kind", ["brain_mask", "lesion_mask"])
class TestMasks:
    def test_shape(self, tmp_path, kind):
        path = mask(tmp_path / "sub-07_mask.nii.gz", 1, shape=(8, 9, 7))
        found = problems(patient(tmp_path, **{kind: path}))
        only(found, "sub-07", "sub-07_mask.nii.gz", "not on the grid of any image", "8 x 9 x 7")
        only(found, "FLAIR 8 x 9 x 6", "T1w 5 x 5 x 5", "resample it (nearest neighbour)")

    def test_position(self, tmp_path, kind):
        affine = AFFINE.copy()
        affine[0, 3] += 2
        path = mask(tmp_path / "sub-07_mask.nii.gz", 1, affine=affine)
        found = problems(patient(tmp_path, **{kind: path}))
        only(found, "sub-07_mask.nii.gz", "has the shape of FLAIR, but lies 2 mm away from it")

    def test_orientation(self, tmp_path, kind):
        path = mask(tmp_path / "sub-07_mask.nii.gz", 1, affine=AFFINE @ np.diag([-1.0, 1, 1, 1]))
        only(problems(patient(tmp_path, **{kind: path})), "not on the grid of any image")

    def test_rounding_of_the_header_is_no_other_grid(self, tmp_path, kind):
        affine = AFFINE.copy()
        affine[:3, 3] += 5e-4
        path = mask(tmp_path / "sub-07_mask.nii.gz", 1, affine=affine)
        assert problems(patient(tmp_path, **{kind: path})) == []

    def test_any_image_may_give_the_grid(self, tmp_path, kind):
        path = mask(tmp_path / "sub-07_mask.nii.gz", 1, shape=(5, 5, 5))
        assert problems(patient(tmp_path, **{kind: path})) == []

    def test_values_between_labels(self, tmp_path, kind):
        path = mask(tmp_path / "sub-07_mask.nii.gz", 1, 0.4, dtype=np.float32)
        found = problems(patient(tmp_path, **{kind: path}))
        only(found, "sub-07_mask.nii.gz", "values that are no labels", "do not interpolate masks")

    def test_nearly_one_is_one(self, tmp_path, kind):
        path = mask(tmp_path / "sub-07_mask.nii.gz", 0.99999997, dtype=np.float64)
        assert problems(patient(tmp_path, **{kind: path}), classes={"lesion": 1}) == []

    def test_negative_labels(self, tmp_path, kind):
        path = mask(tmp_path / "sub-07_mask.nii.gz", 1, -1, dtype=np.int16)
        only(problems(patient(tmp_path, **{kind: path})), "holds negative labels")

    def test_not_a_number(self, tmp_path, kind):
        path = mask(tmp_path / "sub-07_mask.nii.gz", np.nan, dtype=np.float32)
        only(
            problems(patient(tmp_path, **{kind: path})), "NaN or infinite", "export the mask again"
        )

    def test_empty(self, tmp_path, kind):
        path = mask(tmp_path / "sub-07_mask.nii.gz")
        name = kind.replace("_", " ")
        only(problems(patient(tmp_path, **{kind: path})), "sub-07: ", f"the {name} is empty")

    def test_of_another_subject(self, tmp_path, kind):
        path = mask(tmp_path / "sub-08_mask.nii.gz", 1)
        found = problems(patient(tmp_path, **{kind: path}))
        only(found, "sub-07: ", "sub-08_mask.nii.gz", "is a mask of sub-08", "the mask of sub-07")

    def test_in_the_folder_of_another_subject(self, tmp_path, kind):
        path = mask(tmp_path / "masks" / "sub-08" / "mask.nii.gz", 1)
        only(problems(patient(tmp_path, **{kind: path})), "is a mask of sub-08")

    def test_missing(self, tmp_path, kind):
        found = problems(patient(tmp_path, **{kind: str(tmp_path / "sub-07_gone.nii.gz")}))
        only(found, "sub-07: ", "sub-07_gone.nii.gz", "no such file")


def test_a_table_may_give_subjects_names_of_its_own(tmp_path):
    assert problems(replace(patient(tmp_path), subject="P1")) == []


def test_labels_of_no_class_are_refused_unless_they_are_ignored(tmp_path):
    path = mask(tmp_path / "sub-07_mask.nii.gz", 1, 3)
    given = patient(tmp_path, lesion_mask=path), ["FLAIR"], "patients", {"ms": [1, 2]}
    found = check_scan(*given)["problems"]
    only(found, "sub-07: ", "sub-07_mask.nii.gz", "labels [3] of no class", "ignored_labels")
    report = check_scan(*given, ignored_labels=[3, 5])
    assert report["problems"] == []
    only(report["warnings"], "sub-07", "sub-07_mask.nii.gz", "labels [3] are ignored_labels")


def test_no_label_of_the_classes(tmp_path):
    path = mask(tmp_path / "sub-07_mask.nii.gz", 3)
    found = problems(patient(tmp_path, lesion_mask=path), classes={"ms": 1, "other": [2]})
    only(found, "holds labels [3], none of lesion_classes ([1, 2])", "mend lesion_classes")


def test_patients_need_a_lesion_mask_and_others_do_not(tmp_path):
    scan = patient(tmp_path, lesion_mask="")
    only(problems(scan), "sub-07: has no lesion mask")
    assert problems(scan, role="unlabelled") == problems(scan, role="healthy") == []


class TestAcrossCohorts:
    def reports(self, *scans):
        return [check_scan(scan, ["FLAIR"], "healthy", {}) for scan in scans]

    def test_different_scans_are_no_problem(self, tmp_path):
        found = {
            "a": self.reports(patient(tmp_path / "a", "01"), patient(tmp_path / "a", "02")),
            "b": self.reports(patient(tmp_path / "b", "03")),
        }
        assert check_cohorts(found, {"a": "healthy", "b": "patients"}) == []

    def test_the_same_scan_in_train_and_test_names_both(self, tmp_path):
        first, second = patient(tmp_path / "a", "01"), patient(tmp_path / "b", "09")
        shutil.copy(first.images["FLAIR"], second.images["FLAIR"])
        found = {"ixi": self.reports(first), "ms": self.reports(second)}
        only(
            check_cohorts(found, {"ixi": "healthy", "ms": "patients"}),
            "ms/sub-09 FLAIR (role patients)",
            "ixi/sub-01 FLAIR (role healthy)",
            "remove one",
        )

    def test_the_same_scan_twice_in_a_cohort(self, tmp_path):
        first, second = patient(tmp_path, "01"), patient(tmp_path, "02")
        shutil.copy(first.images["T1w"], second.images["T1w"])
        found = {"ms": self.reports(first, second)}
        only(check_cohorts(found, {"ms": "patients"}), "ms/sub-02 T1w", "ms/sub-01 T1w")

    def test_a_copy_in_another_type_and_compression_is_found(self, tmp_path):
        data = np.random.default_rng(5).integers(0, 900, SHAPE, dtype=np.int16)
        first = with_flair(tmp_path / "a", data=data)
        path = image(tmp_path / "b" / "FLAIR.nii", data=data.astype(np.float32))
        second = patient(
            tmp_path / "b", "08", images={"FLAIR": path}, brain_mask="", lesion_mask=""
        )
        reports = self.reports(first, second)
        assert reports[0]["facts"]["FLAIR"]["sha"] != reports[1]["facts"]["FLAIR"]["sha"]
        assert len(check_cohorts({"a": reports}, {"a": "healthy"})) == 1


ANATOMY = {"csf": 1, "grey": [2, 12]}


def anatomy_problems(folder, path):
    scan = patient(folder, anatomy=path)
    return check_scan(scan, ["FLAIR"], "patients", {}, ANATOMY)["problems"]


def test_labels_of_declared_classes_are_sound_and_others_are_named(tmp_path):
    assert anatomy_problems(tmp_path, mask(tmp_path / "sub-07_a.nii.gz", 1, 2, 12)) == []
    found = anatomy_problems(tmp_path, mask(tmp_path / "sub-07_a.nii.gz", 1, 5, 7))
    only(found, "sub-07: ", "sub-07_a.nii.gz", "labels 5, 7", "anatomy_classes", "[1, 2, 12]")


def test_a_label_map_of_anatomy_is_checked_like_masks(tmp_path):
    only(anatomy_problems(tmp_path, mask(tmp_path / "sub-07_a.nii.gz")), "anatomy is empty")
    other = mask(tmp_path / "sub-08_a.nii.gz", 1)
    only(anatomy_problems(tmp_path, other), "is a mask of sub-08")
    half = np.zeros(SHAPE, np.float32)
    half[2:4, 2:4, 2] = 1.5
    only(anatomy_problems(tmp_path, image(tmp_path / "a.nii.gz", data=half)), "no labels")
    shape = (4, 4, 4)
    away = mask(tmp_path / "b.nii.gz", 1, shape=shape)
    only(anatomy_problems(tmp_path, away), "not on the grid of any image")
