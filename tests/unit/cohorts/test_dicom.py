"""DICOM: whose series, which contrast, one sound volume in the right place."""

import os
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from made_cohorts import touch
from nibabel import orientations

from made_dicom import volume, write_series
from normscan.cohorts.dicom.convert import convert_scan
from normscan.cohorts.dicom.folders import converted, listing_digest, scan_folders, scan_sources
from normscan.cohorts.dicom.geometry import geometry_problem
from normscan.cohorts.dicom.series import Series, read_series
from normscan.cohorts.load import load_cohort
from normscan.cohorts.scans import Scan
from normscan.errors import CohortError

SERIES = {"FLAIR": "flair"}
SCAN = Scan("clinic", "07")


def made(folder, series=None):
    """What converting one subject's folder gives."""
    return convert_scan(folder / "raw", SCAN, series or SERIES, folder / "made")


def problem(folder, series=None):
    (line,) = made(folder, series)["problems"]
    assert line.startswith("sub-07: FLAIR: ") and str(folder / "raw") in line
    assert not list((folder / "made").rglob("*.nii.gz"))
    return line


def in_one_order(path):
    """(data, affine) of a volume, its axes as near to RAS as they can be."""
    image = nibabel.as_closest_canonical(nibabel.load(path))
    return np.asanyarray(image.dataobj), image.affine


OBLIQUE = (0.96592583, 0, 0.25881905, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), OBLIQUE, SAGITTAL])
def test_every_voxel_keeps_value_and_place(tmp_path, orientation):
    data = volume()
    affine = write_series(tmp_path / "raw", "t2_FLAIR tra", data=data, orientation=orientation)
    assert made(tmp_path)["problems"] == []
    found, place = in_one_order(converted(tmp_path / "made", SCAN, "FLAIR"))
    # DICOM's columns are the first axis: rows of the array are the second.
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(data.transpose(1, 0, 2), affine))
    np.testing.assert_array_equal(found, np.asanyarray(image.dataobj))
    np.testing.assert_allclose(place, image.affine, atol=1e-3)
    assert orientations.aff2axcodes(place) == ("R", "A", "S")


def test_the_header_says_nothing_of_person_and_time(tmp_path):
    write_series(tmp_path / "raw", "FLAIR")
    made(tmp_path)
    path = converted(tmp_path / "made", SCAN, "FLAIR")
    header = nibabel.load(path).header
    assert not header["descrip"].item() and not header["aux_file"].item()
    first = path.read_bytes()
    made(tmp_path)
    assert path.read_bytes() == first


def test_series_are_told_apart_by_their_descriptions(tmp_path):
    write_series(tmp_path / "raw/a", "t2_FLAIR tra", 5)
    write_series(tmp_path / "raw/b", "T1 mprage", 6, data=volume((24, 20, 9), 6))
    touch(tmp_path, "raw/readme.txt", "raw/.hidden", "raw/DICOMDIR")
    found = made(tmp_path, {"FLAIR": "flair", "T1w": "^t1.*"})
    assert found["problems"] == [] and sorted(found["files"]) == ["FLAIR", "T1w"]
    assert found["series"] == {
        "FLAIR": "5 't2_FLAIR tra' (12 files)",
        "T1w": "6 'T1 mprage' (9 files)",
    }
    shapes = {
        contrast: nibabel.load(converted(tmp_path / "made", SCAN, contrast)).shape
        for contrast in ("FLAIR", "T1w")
    }
    assert shapes == {"FLAIR": (20, 24, 12), "T1w": (20, 24, 9)}


def test_files_of_one_name_in_two_folders_are_two(tmp_path):
    """As viewers export them: every series anew from IM0001 on."""
    for folder, halves in (("a", range(6)), ("b", range(6, 12))):
        write_series(tmp_path / folder, "FLAIR", without=halves)
        for number, path in enumerate(sorted((tmp_path / folder).iterdir())):
            target = tmp_path / "raw" / folder / f"IM{number:04d}"
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    assert made(tmp_path)["problems"] == []


def test_no_series_fits(tmp_path):
    write_series(tmp_path / "raw", "T1 mprage", 6)
    line = problem(tmp_path)
    assert line.endswith("no series matches 'flair'; mend it, there are: 6 'T1 mprage' (12 files)")


def test_several_series_fit(tmp_path):
    write_series(tmp_path / "raw", "t2_FLAIR", 5)
    write_series(tmp_path / "raw", "t2_FLAIR_ND", 6)
    assert problem(tmp_path).endswith(
        "several series match 'flair': 5 't2_FLAIR' (12 files), 6 't2_FLAIR_ND' (12 files); make "
        "it narrower"
    )
    assert made(tmp_path, {"FLAIR": "flair$"})["problems"] == []
    write_series(tmp_path / "raw", "t2_FLAIR", 9)
    assert problem(tmp_path, {"FLAIR": "flair$"}).endswith("move what is not wanted elsewhere")


def test_a_folder_without_dicom(tmp_path):
    touch(tmp_path, "raw/scan.nii.gz")
    assert "no DICOM image is there" in problem(tmp_path)


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"without": (5,)}, "3 mm apart, but 6 mm between the 5th and the next of 11; slices are"),
        ({"moved": {4: 0.5}}, "not equally spaced: 3 mm apart, but 3.5 mm between the 4th"),
        ({"shift": 0.5}, "shifted against each other by up to 5.5 mm (a tilted gantry)"),
        ({"data": volume((24, 20, 1))}, "is no 3D volume (its shape is 20 x 24 x 1)"),
    ],
)
def test_what_is_no_sound_volume_is_refused(tmp_path, changes, fragment):
    write_series(tmp_path / "raw", "FLAIR", **changes)
    line = problem(tmp_path)
    assert "series 5 'FLAIR' (" in line and fragment in line


def test_oblique_pixels_are_refused():
    skewed = np.array([1, 0, 0, 0.2, 0.98, 0])
    positions = [np.array([0.0, 0, 3 * number]) for number in range(3)]
    series = Series("FLAIR", "5", [Path("a")] * 3, positions, [skewed] * 3)
    assert geometry_problem(series).startswith("its rows and columns are not at right angles")
    assert "do not say where" in geometry_problem(replace(series, positions=[None, *positions[1:]]))


def test_positions_with_few_digits_are_equally_spaced(tmp_path):
    write_series(tmp_path / "raw", "FLAIR", spacing=1.0, moved={4: 0.03, 7: -0.01})
    assert made(tmp_path)["problems"] == []


def test_several_volumes_in_one_series_are_refused(tmp_path):
    write_series(tmp_path / "raw/a", "FLAIR")
    write_series(tmp_path / "raw/b", "FLAIR", data=volume(seed=9))
    assert "24 images at 12 places, so more than one volume" in problem(tmp_path)


def test_slices_of_several_directions_are_a_localizer(tmp_path):
    write_series(tmp_path / "raw/a", "FLAIR")
    write_series(tmp_path / "raw/b", "FLAIR", orientation=SAGITTAL)
    assert "as in a localizer; choose another series" in problem(tmp_path)


def test_a_volume_of_before_does_not_outlive_a_problem(tmp_path):
    write_series(tmp_path / "raw", "FLAIR")
    made(tmp_path)
    # Of slices 0 to 11 the sixth.
    (tmp_path / "raw" / "5-0-0035.dcm").unlink()
    problem(tmp_path)


class TestFolders:
    def test_subjects_and_sessions(self, tmp_path):
        touch(tmp_path, "sub-01/a", "P_02/ses-1/a", "P_02/ses-2/a", ".git/a")
        found = {Scan("", *owner).id for owner in scan_folders(tmp_path)[0]}
        assert found == {"sub-01", "sub-P02_ses-1", "sub-P02_ses-2"}
        assert scan_sources(tmp_path)["sub-P02_ses-2"] == str(tmp_path / "P_02/ses-2")

    def test_a_folder_of_files_is_one_scan(self, tmp_path):
        write_series(tmp_path / "visit 3", "FLAIR")
        assert scan_sources(tmp_path / "visit 3") == {"sub-visit3": str(tmp_path / "visit 3")}

    def test_a_note_beside_the_subjects_is_no_scan(self, tmp_path):
        touch(tmp_path, "readme.txt", "01/a")
        assert list(scan_sources(tmp_path)) == ["sub-01"]

    def test_names_that_give_one_label(self, tmp_path):
        touch(tmp_path, "P-1/a", "P1/a", "--/a")
        problems = scan_folders(tmp_path)[1]
        assert len(problems) == 2
        assert "neither a letter nor a digit" in problems[0]
        assert "gives the same label as" in problems[1] and "'P1'; rename one" in problems[1]

    def test_the_listing_knows_what_was_added_and_not_what_was_touched(self, tmp_path):
        touch(tmp_path, "a", "b/c")
        first = listing_digest(tmp_path), listing_digest(tmp_path, times=True)
        (tmp_path / "a").touch()
        os.utime(tmp_path / "a", (1, 1))
        second = listing_digest(tmp_path), listing_digest(tmp_path, times=True)
        assert first[0] == second[0] and first[1] != second[1]
        touch(tmp_path, "b/d")
        assert listing_digest(tmp_path) != first[0]


class TestCohort:
    def load(self, folder, **entry):
        entry = {"source": "dicom", "path": "raw", "role": "unlabelled", "series": SERIES, **entry}
        return load_cohort(
            "clinic", entry, folder, results=folder / "r", needed_contrasts=["FLAIR"]
        )

    def test_scans_are_planned_without_reading(self, tmp_path):
        touch(tmp_path, "raw/01/a", "raw/02/b")
        cohort, _ = self.load(tmp_path)
        assert [scan.id for scan in cohort.scans] == ["sub-01", "sub-02"]
        path = tmp_path / "r/converted/clinic/sub-01/anat/sub-01_FLAIR.nii.gz"
        assert cohort.scans[0].images == {"FLAIR": str(path)}

    @pytest.mark.parametrize(
        ("entry", "fragment"),
        [
            ({"series": {}}, "series: is missing; write which series is which contrast"),
            (
                {"series": {"flair": "x"}},
                "series: unknown contrast 'flair' (did you mean 'FLAIR'?)",
            ),
            ({"series": {"FLAIR": "(x"}}, "series.FLAIR: '(x' is no regular expression: "),
            ({"series": {"T1w": "x"}}, "has no FLAIR, which the protocols need; it has: T1w"),
            ({"source": "bids"}, "series: is for source 'dicom' only; remove it"),
            ({"role": "patients"}, "has no lesion mask"),
            ({"path": ""}, "path: is missing; source 'dicom' needs it"),
            ({"path": "raw/empty"}, "no folder of a subject found, and no DICOM file"),
        ],
    )
    def test_wrong_entries(self, tmp_path, entry, fragment):
        touch(tmp_path, "raw/01/a")
        (tmp_path / "raw/empty").mkdir()
        if entry.get("path") != "raw/empty":
            (tmp_path / "raw/empty").rmdir()
        with pytest.raises(CohortError) as error:
            self.load(tmp_path, **entry)
        assert len(error.value.problems) == 1 and fragment in error.value.problems[0]


def test_series_are_read_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 100):
        write_series(tmp_path, f"s{number}", number, data=volume((24, 20, 2)))
    assert [one.description for one in read_series(tmp_path)] == ["s9", "s10", "s100"]
