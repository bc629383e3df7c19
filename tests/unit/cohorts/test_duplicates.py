"""A scan of a cohort to be screened that stands somewhere else, too."""

import shutil

import nibabel
import numpy as np
from made_cohorts import image, patient

from normscan.cohorts.checks import check_scan
from normscan.cohorts.duplicates import contents, known_elsewhere

ROLES = {"ixi": "healthy", "ms": "patients"}


def reports(*scans):
    return [check_scan(scan, ["FLAIR"], "unlabelled", {}) for scan in scans]


def copied(scan, of, contrast="FLAIR"):
    """``scan`` with an image of another scan."""
    shutil.copy(of.images[contrast], scan.images[contrast])
    return scan


def test_contents_are_digests_of_voxels(tmp_path):
    found = contents(reports(patient(tmp_path, "01"), patient(tmp_path, "02")))
    assert set(found) == {"sub-01", "sub-02"} and set(found["sub-01"]) == {"FLAIR", "T1w"}
    assert len({digest for scan in found.values() for digest in scan.values()}) == 4


def test_other_scans_are_no_problem(tmp_path):
    others = {"ixi": reports(patient(tmp_path / "a", "01"))}
    assert known_elsewhere("new", reports(patient(tmp_path / "b", "02")), others, ROLES) == {}


def test_a_scan_that_models_are_trained_on(tmp_path):
    trained = patient(tmp_path / "a", "01")
    screened = [copied(patient(tmp_path / "b", "05"), trained), patient(tmp_path / "b", "06")]
    found = known_elsewhere("new", reports(*screened), {"ixi": reports(trained)}, ROLES)
    assert list(found) == ["sub-05"]
    (line,) = found["sub-05"]
    for part in ("sub-05: its FLAIR", "ixi/sub-01 FLAIR (role healthy)", "trained", "exclude it"):
        assert part in line


def test_a_scan_that_is_evaluated(tmp_path):
    evaluated = patient(tmp_path / "a", "01")
    screened = copied(patient(tmp_path / "b", "05"), evaluated, "T1w")
    found = known_elsewhere("new", reports(screened), {"ms": reports(evaluated)}, ROLES)
    assert "its T1w has the same content as ms/sub-01 T1w (role patients)" in found["sub-05"][0]


def test_one_image_under_two_names_of_a_cohort_names_both(tmp_path):
    first = patient(tmp_path, "01")
    second = copied(patient(tmp_path, "02"), first)
    found = known_elsewhere("new", reports(first, second, patient(tmp_path, "03")), {}, {})
    assert set(found) == {"sub-01", "sub-02"}
    assert "new/sub-02 FLAIR of the same cohort" in found["sub-01"][0]


def test_other_cohorts_are_not_compared_with_each_other(tmp_path):
    first = patient(tmp_path / "a", "01")
    others = {"ixi": reports(first), "ms": reports(copied(patient(tmp_path / "b", "02"), first))}
    assert known_elsewhere("new", reports(patient(tmp_path / "c", "03")), others, ROLES) == {}


def test_another_compression_and_type_hides_nothing(tmp_path):
    data = np.random.default_rng(5).integers(0, 900, (8, 9, 6), dtype=np.int16)
    trained = patient(tmp_path / "a", "01", brain_mask="", lesion_mask="")
    image(tmp_path / "a/sub-01/anat/sub-01_FLAIR.nii.gz", data=data)
    path = image(tmp_path / "b/FLAIR.nii", data=data.astype(np.float32))
    screened = patient(tmp_path / "b", "02", images={"FLAIR": path}, brain_mask="", lesion_mask="")
    assert nibabel.load(path).get_data_dtype() == np.float32
    found = known_elsewhere("new", reports(screened), {"ixi": reports(trained)}, ROLES)
    assert set(found) == {"sub-02"}
