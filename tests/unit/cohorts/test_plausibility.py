"""What is sound by itself but cannot be meant: refused or warned of, and real scans are neither."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from made_cohorts import AFFINE, SHAPE, image, patient
from scipy import ndimage

from normscan.cohorts.checks import check_scan
from normscan.cohorts.plausibility import header_warnings
from normscan.cohorts.ringing import ringing

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


@pytest.mark.parametrize(
    ("radius", "problem", "warning"),
    [(4.0, "", ""), (5.0, "", "covers 54%"), (5.9, "covers 9", ""), (6.0, "covers 100%", "")],
)
@pytest.mark.parametrize("given", ["the brain mask", "what FLAIR shows"])
def test_a_lesion_mask_of_a_whole_brain(scan, radius, problem, warning, given):
    ball = ((np.indices(BIG) - 10) ** 2).sum(axis=0) < radius**2
    changed(scan.lesion_mask, lambda data: ball.astype(np.uint8))
    asked = scan if "mask" in given else replace(scan, brain_mask="")
    problems, warnings = checked(asked)
    for found, expected in ((problems, problem), (warnings, warning)):
        assert len(found) == bool(expected)
        assert not expected or expected in found[0] and f"% of {given};" in found[0]
        assert not expected or "sub-07" in found[0] and "sub-07_lesion" in found[0]


@pytest.mark.parametrize("given", ["the brain mask", "what FLAIR shows"])
def test_a_lesion_mask_outside_of_the_brain(scan, given):
    asked = scan if "mask" in given else replace(scan, brain_mask="")
    changed(scan.lesion_mask, lambda data: np.roll(data, 10, axis=0))
    (problem,), _ = checked(asked)
    assert f"outside of {given}" in problem and "sub-07" in problem
    changed(scan.lesion_mask, lambda data: np.roll(data, -4, axis=0))
    problems, (warning,) = checked(asked)
    assert not problems and f"of the lesion lie inside of {given}" in warning


def test_a_hole_in_what_is_shown_is_no_outside(scan):
    changed(scan.images["FLAIR"], lambda data: np.where(np.rint(data) == 3, data, 0))
    assert checked(replace(scan, brain_mask="")) == ([], [])


def test_labels_that_are_ignored_may_be_anywhere(scan):
    """A part that nobody annotated, outside of the brain for the most part."""
    changed(scan.lesion_mask, lambda data: np.where(np.indices(BIG)[0] < 9, 2, data))
    assert "only" in checked(scan)[1][0]
    found = check_scan(scan, ["FLAIR"], "patients", {"ms": 1}, ignored_labels=[2])
    assert found["problems"] == [] and len(found["warnings"]) == 1
    assert "labels [2] are ignored_labels" in found["warnings"][0]


@pytest.mark.parametrize("moved", [0, 100])
def test_a_brain_mask_on_another_grid_only_warns(scan, tmp_path, moved):
    """The mask lies on the grid of T1w, of half the voxels; headers say where."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 0.5
    affine[0, 3] += moved
    halves = [nibabel.load(path).get_fdata()[::2, ::2, ::2] for path in (
        scan.images["FLAIR"], scan.brain_mask
    )]  # fmt: skip
    for path in (scan.images["FLAIR"], scan.lesion_mask):
        found = np.asarray(nibabel.load(path).dataobj)
        nibabel.save(nibabel.Nifti1Image(found, np.eye(4)), path)
    t1w = image(tmp_path / "sub-07_T1w.nii.gz", data=halves[0], affine=affine)
    brain = image(tmp_path / "half.nii.gz", data=halves[1].astype(np.uint8), affine=affine)
    problems, warnings = checked(
        replace(scan, images={**scan.images, "T1w": t1w}, brain_mask=brain)
    )
    assert problems == [] and len(warnings) == bool(moved)
    assert not moved or "outside of the brain mask, which is on another grid" in warnings[0]


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


@pytest.mark.parametrize("masked", [True, False])
def test_images_without_a_background_do_not_look_stripped(scan, masked):
    rng = np.random.default_rng(1)
    changed(scan.images["FLAIR"], lambda data: data + 1 + rng.random(BIG))
    asked = scan if masked else replace(scan, brain_mask="")
    problems, (warning,) = checked(asked, skull_stripped=True)
    assert problems == [] and "sub-07_FLAIR" in warning
    assert "declared skull_stripped, but has no background (100% of its voxels" in warning
    assert checked(asked) == ([], [])


@pytest.mark.parametrize("warned", [False, True])
def test_more_than_a_rim_outside_of_the_mask_is_warned_of(scan, warned):
    """The blurred edge of a brain cut closely, then a block beside it."""
    place = np.indices(BIG) - 10
    more = ndimage.binary_dilation((place**2).sum(axis=0) < 36) & (place[0] > 2)
    if warned:
        more = (np.abs(place - np.array([7, 0, 0])[:, None, None, None]) < 3).all(axis=0)
    changed(scan.images["FLAIR"], lambda data: np.where(more & (data == 0), 1, data))
    problems, warnings = checked(scan, skull_stripped=True)
    assert problems == [] and len(warnings) == warned
    assert not warned or "of the brain mask's volume outside of it" in warnings[0]
    assert checked(scan) == ([], [])


def stripped(kind: str) -> np.ndarray:
    """A ball of a brain, smooth but for noise, with or without values below the background."""
    place = np.indices((40,) * 3) - 20
    ball = (place**2).sum(axis=0) < 13**2
    rng = np.random.default_rng(0)
    data = (150 + 40 * np.cos(place[0] / 4) + rng.normal(0, 5, ball.shape)) * ball
    if kind.startswith("ringing"):
        data = ndimage.shift(data, 0.5, order=3)
        return data if "as floats" in kind else np.rint(data)
    if kind == "z-scores":
        return np.where(ball, (data - data[ball].mean()) / data[ball].std(), 0)
    if kind == "skewed z-scores":
        skewed = np.exp(rng.normal(0, 0.8, ball.shape))
        return np.where(ball, (skewed - skewed[ball].mean()) / skewed[ball].std(), 0)
    if kind == "percentiles":
        low, high = np.percentile(data[ball], [1, 99])
        return np.where(ball, (data - low) / (high - low), 0)
    return data


@pytest.mark.parametrize("kind", ["ringing", "ringing as floats"])
def test_ringing_around_a_stripped_brain_is_warned_of(scan, kind):
    data = stripped(kind)
    path = scan.images["FLAIR"]
    nibabel.save(nibabel.Nifti1Image(data.astype(np.float32), np.eye(4)), path)
    alone = replace(scan, brain_mask="", lesion_mask="")
    found = check_scan(alone, ["FLAIR"], "healthy", {}, skull_stripped=True)
    assert found["problems"] == []
    (warning,) = found["warnings"]
    assert f"sub-07: {path}: interpolation rings around its brain (values down to -" in warning
    assert check_scan(alone, ["FLAIR"], "healthy", {})["warnings"] == []


@pytest.mark.parametrize("kind", ["", "z-scores", "skewed z-scores", "percentiles"])
@pytest.mark.parametrize("shift", [0, -7])
def test_other_dark_values_are_no_ringing(kind, shift):
    data = stripped(kind) + shift
    assert ringing(data)[1] == 0


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
