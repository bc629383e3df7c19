"""What is sound by itself but cannot be meant: refused or warned of, and real scans are neither."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from made_cohorts import AFFINE, SHAPE, image, patient

from normscan.cohorts.checks import check_scan
from normscan.cohorts.plausibility import header_warnings

BIG = (20, 20, 20)


def checked(scan, **options):
    found = check_scan(scan, ["FLAIR"], "patients", {}, **options)
    return found["problems"], found["warnings"]


@pytest.fixture
def scan(tmp_path):
    """A ball in an empty image, its mask, and a lesion inside."""
    place = np.indices(BIG) - 10
    ball = (place**2).sum(axis=0) < 36
    lesion = (place**2).sum(axis=0) < 4
    rng = np.random.default_rng(0)
    smooth = np.cos(place[0] / 4) + rng.random(BIG) / 10 + 2
    return replace(
        patient(tmp_path),
        images={"FLAIR": image(tmp_path / "sub-07_FLAIR.nii.gz", data=smooth * ball)},
        brain_mask=image(tmp_path / "sub-07_brain.nii.gz", data=ball.astype(np.uint8)),
        lesion_mask=image(tmp_path / "sub-07_lesion.nii.gz", data=lesion.astype(np.uint8)),
    )


def changed(path, change):
    """A volume with other values; the header stays."""
    found = nibabel.load(path)
    data = change(np.asarray(found.dataobj).copy())
    nibabel.save(nibabel.Nifti1Image(data, found.affine), path)


def test_a_scan_as_it_should_be_is_neither(scan):
    assert checked(scan) == checked(scan, skull_stripped=True) == ([], [])


@pytest.mark.parametrize("value", [1e30, -2e9])
def test_values_that_no_scanner_writes(scan, value):
    def spoil(data):
        data[3, 3, 3] = value
        return data

    changed(scan.images["FLAIR"], spoil)
    (problem,), _ = checked(scan)
    assert f"holds values up to {abs(value):.3g}" in problem and "sub-07" in problem


def test_a_brain_mask_of_one_voxel(scan):
    changed(scan.brain_mask, lambda data: (np.arange(data.size) == 4210).reshape(BIG) * np.uint8(1))
    (problem, *_), _ = checked(scan)
    assert "the brain mask has 1 voxel;" in problem


def test_a_lesion_mask_that_covers_everything(scan):
    changed(scan.lesion_mask, np.ones_like)
    (problem,), _ = checked(scan)
    assert "the lesion mask covers 100% of the image" in problem


def test_a_lesion_mask_outside_of_the_brain(scan):
    changed(scan.lesion_mask, lambda data: np.roll(data, 10, axis=0))
    (problem,), _ = checked(scan)
    assert "outside of the brain mask" in problem
    changed(scan.lesion_mask, lambda data: np.roll(data, -4, axis=0))
    problems, (warning,) = checked(scan)
    assert not problems and "of the lesion lie inside of the brain mask" in warning


def test_heads_that_are_said_to_be_stripped(scan):
    place = np.indices(BIG) - 10
    head = (place**2).sum(axis=0) < 81
    changed(scan.images["FLAIR"], lambda data: np.where(head & (data == 0), 1, data))
    assert checked(scan) == ([], [])
    (problem,), _ = checked(scan, skull_stripped=True)
    assert "declared skull_stripped, but FLAIR shows" in problem
    assert "set skull_stripped: false" in problem


def test_a_background_may_have_any_value(scan):
    """Z-scores of a stripped brain, and those of a head."""
    changed(scan.images["FLAIR"], lambda data: data - 1)
    assert checked(scan, skull_stripped=True)[0] == []
    head = ((np.indices(BIG) - 10) ** 2).sum(axis=0) < 81
    changed(scan.images["FLAIR"], lambda data: np.where(head & (data == -1), 3, data))
    (problem,), _ = checked(scan, skull_stripped=True)
    assert "declared skull_stripped, but FLAIR shows" in problem


def test_images_without_a_background_say_nothing_of_stripping(scan):
    rng = np.random.default_rng(1)
    changed(scan.images["FLAIR"], lambda data: data + 1 + rng.random(BIG))
    assert checked(scan, skull_stripped=True)[0] == []


@pytest.mark.parametrize(("millimetres", "refused"), [(10.0, False), (12.0, True)])
def test_without_a_mask_nothing_larger_than_a_brain_is_stripped(scan, millimetres, refused):
    """A ball of eight voxels' radius: 2.1 litres, then 3.6."""
    ball = ((np.indices(BIG) - 10) ** 2).sum(axis=0) < 64
    data = (2 + np.cos(np.indices(BIG)[0] / 4)) * ball
    affine = np.diag([millimetres] * 3 + [1.0])
    nibabel.save(nibabel.Nifti1Image(data, affine), scan.images["FLAIR"])
    alone = replace(scan, brain_mask="", lesion_mask="")
    found = check_scan(alone, ["FLAIR"], "healthy", {}, skull_stripped=True)["problems"]
    assert bool(found) is refused
    assert not refused or "sub-07: is declared skull_stripped, but FLAIR shows 3." in found[0]
    assert check_scan(alone, ["FLAIR"], "healthy", {})["problems"] == []


def header(sform=None, qform=None):
    made = nibabel.Nifti1Header()
    made.set_data_shape(SHAPE)
    made.set_sform(sform, 1 if sform is not None else 0)
    made.set_qform(qform, 1 if qform is not None else 0)
    return made


def test_affines_of_one_header_that_disagree():
    moved = AFFINE.copy()
    moved[0, 3] += 5
    ((said, _),) = header_warnings(header(AFFINE, moved), SHAPE)
    assert "sform and qform lie up to 5 mm apart" in said
    assert header_warnings(header(AFFINE, AFFINE), SHAPE) == []
    assert (
        header_warnings(header(AFFINE), SHAPE) == header_warnings(header(None, AFFINE), SHAPE) == []
    )
    ((said, _),) = header_warnings(header(), SHAPE)
    assert "neither where it lies nor which way is up" in said


def test_headers_are_looked_at(scan):
    found = nibabel.load(scan.images["FLAIR"])
    volume = nibabel.Nifti1Image(np.asarray(found.dataobj), found.affine)
    moved = found.affine.copy()
    moved[1, 3] += 7
    volume.set_qform(moved, 1)
    nibabel.save(volume, scan.images["FLAIR"])
    problems, (warning,) = checked(scan)
    assert not problems and "7 mm apart" in warning and "sub-07_FLAIR" in warning
