from dataclasses import replace

import made_heads as phantoms
import numpy as np
import pandas
import pytest

from normscan.preprocessing.quality import (
    dice,
    flag_outliers,
    measure,
    mutual_information,
    quality_slices,
    robust_scores,
)
from normscan.preprocessing.transforms import write_affine
from normscan.preprocessing.volumes import Prepared

GRID = phantoms.grid(4.0)
BRAIN = phantoms.mask(GRID, phantoms.brain)


@pytest.fixture
def scan(tmp_path):
    image = phantoms.save(tmp_path / "t1.nii.gz", phantoms.head(GRID, seed=3), GRID)
    mask = phantoms.save(tmp_path / "brain.nii.gz", BRAIN, GRID, np.uint8)
    identity = write_affine(tmp_path / "xfm.mat", np.eye(4))
    return Prepared(
        "sub-01", "01", "", "phantom", {"T1w": image}, mask, transforms={"T1w": [identity]}
    )


def test_numbers_of_a_well_registered_scan(scan, own_atlas):
    numbers = measure(scan, own_atlas)
    assert numbers["brain_ml"] == pytest.approx(4 / 3 * np.pi * 66 * 84 * 64 / 1000, rel=0.02)
    assert numbers["dice_atlas"] > 0.97
    assert numbers["border_fraction"] == 0
    assert numbers["correlation"] > 0.9


def test_misplaced_scans_have_worse_numbers(scan, own_atlas, tmp_path):
    pose = phantoms.rigid((0, 0, 25), (15, 0, 0))
    image = phantoms.save(tmp_path / "moved.nii.gz", phantoms.head(GRID, pose=pose), GRID)
    moved_brain = phantoms.mask(GRID, phantoms.brain, pose)
    brain = phantoms.save(tmp_path / "moved_brain.nii.gz", moved_brain, GRID, np.uint8)
    good, bad = (
        measure(scan, own_atlas),
        measure(replace(scan, images={"T1w": image}, brain=brain), own_atlas),
    )
    for name in ("dice_atlas", "similarity", "correlation"):
        assert bad[name] < good[name]


def test_brain_volume_is_the_scan_own(scan, own_atlas, tmp_path):
    half = write_affine(tmp_path / "half.mat", np.diag([0.5, 1, 1, 1]))
    smaller = measure(replace(scan, transforms={"T1w": [half]}), own_atlas)
    assert smaller["brain_ml"] == pytest.approx(measure(scan, own_atlas)["brain_ml"] / 2)
    assert smaller["scale"] == pytest.approx(0.5)


def test_brain_at_the_border_is_seen(scan, own_atlas, tmp_path):
    brain = BRAIN.copy()
    brain[:, :, : GRID.shape[2] // 2] = False
    cut = np.roll(brain, -(GRID.shape[2] // 2), axis=2)
    path = phantoms.save(tmp_path / "cut.nii.gz", cut, GRID, np.uint8)
    assert measure(replace(scan, brain=path), own_atlas)["border_fraction"] > 0.01


@pytest.mark.parametrize(("shift", "outside"), [(0, 0.0), (8, 0.5), (20, 1.0)])
def test_lesions_outside_of_the_brain_are_seen(scan, own_atlas, tmp_path, shift, outside):
    """A block that is moved along z, out of the brain, beside a label that does not count."""
    top = np.flatnonzero(BRAIN[BRAIN.shape[0] // 2, BRAIN.shape[1] // 2]).max()
    labels = np.zeros(GRID.shape, np.int16)
    middle = tuple(slice(size // 2 - 1, size // 2 + 1) for size in GRID.shape[:2])
    if shift < 20:
        first = top - 3 if shift == 0 else top - 1
        labels[(*middle, slice(first, first + 4))] = 1
        labels[(*middle, slice(top + 4, None))] = 2
    else:
        labels[(*middle, slice(top + 2, top + 4))] = 1
    lesions = phantoms.save(tmp_path / "lesions.nii.gz", labels, GRID, np.int16)
    numbers = measure(replace(scan, lesions=lesions), own_atlas, lesion_labels=[1])
    assert numbers["lesion_outside"] == pytest.approx(outside)
    assert "lesion_outside" not in measure(scan, own_atlas)


def test_a_lesion_outside_of_the_brain_is_flagged():
    reasons = flag_outliers(cohort(lesion_outside=[0.0] * 6 + [0.3, 0.51]))
    assert reasons == {"sub-07": ["lesion_outside 0.51 is above 0.5"]}


def test_mutual_information_knows_dependence():
    rng = np.random.default_rng(0)
    values = rng.normal(size=20000)
    assert mutual_information(values, values) == pytest.approx(1)
    assert mutual_information(values, 3 - 2 * values) == pytest.approx(1, abs=0.02)
    assert mutual_information(values, rng.normal(size=20000)) < 0.01


def test_dice():
    one, other = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert dice(one, other) == 0.5
    assert dice(one & False, other & False) == 1


def cohort(**columns):
    count = len(next(iter(columns.values())))
    return pandas.DataFrame({"scan": [f"sub-{i:02}" for i in range(count)], **columns})


def test_absolute_limits_hold_for_a_single_scan():
    reasons = flag_outliers(cohort(brain_ml=[2300.0], dice_atlas=[0.5], border_fraction=[0.1]))
    assert list(reasons) == ["sub-00"]
    assert len(reasons["sub-00"]) == 3
    assert "brain_ml 2300 ml is above 2000" in reasons["sub-00"]


def test_the_odd_one_out_is_flagged_in_its_bad_direction():
    usual = [0.90, 0.91, 0.92, 0.93, 0.94, 0.92, 0.91]
    assert flag_outliers(cohort(dice_atlas=usual)) == {}
    assert list(flag_outliers(cohort(dice_atlas=[*usual, 0.78]))) == ["sub-07"]
    assert flag_outliers(cohort(similarity=[*usual, 1.5])) == {}
    assert list(flag_outliers(cohort(similarity=[*usual, 0.1]))) == ["sub-07"]


def test_scores_that_say_nothing_more_are_not_told():
    """Where all others are equal, any difference is many times their spread."""
    reasons = flag_outliers(cohort(border_fraction=[0.0] * 7 + [0.0005, 0.009]))
    assert list(reasons) == ["sub-08"], "a voxel at the border is no alarm"
    (reason,) = reasons["sub-08"]
    assert reason == "border_fraction 0.009 is unusual here (median 0, z = 9.0)"
    (reason,) = flag_outliers(cohort(similarity=[0.5] * 7 + [0.1]))["sub-07"]
    assert reason == "similarity 0.1 is unusual here (median 0.5, z beyond 20)"


def test_missing_values_are_no_reason():
    assert flag_outliers(cohort(brain_ml=[1400.0, np.nan, 1300.0, 1350.0, 1380.0, 1420.0])) == {}


def test_lost_lesions_are_told():
    reasons = flag_outliers(cohort(lesion_native_ml=[0.02, 1.0], lesion_ml=[0.0, 0.9]))
    assert list(reasons) == ["sub-00"]
    assert "lost" in reasons["sub-00"][0]


def test_robust_scores():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert robust_scores(values) == pytest.approx((values - 3) / 1.4826)
    assert not robust_scores(values[:4]).any()


def test_picture_outlines_the_atlas_brain(scan, own_atlas):
    picture = quality_slices(scan, own_atlas)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    orange = (picture == (255, 140, 0)).all(axis=-1)
    assert 200 < orange.sum() < 0.2 * orange.size
    both = replace(scan, images={name: scan.images["T1w"] for name in ("T1w", "T2w")})
    two = quality_slices(both, own_atlas)
    assert two.shape == (2 * picture.shape[0], *picture.shape[1:])


def test_picture_is_not_mirrored(scan, own_atlas, tmp_path):
    points = phantoms.points_of(GRID)
    corner = phantoms.brain(points) & (points[..., 0] > 10) & (points[..., 1] > 10)
    path = phantoms.save(tmp_path / "corner.nii.gz", corner.astype(np.float32), GRID)
    picture = quality_slices(replace(scan, images={"T1w": path}), own_atlas)
    axial = (picture[: GRID.shape[1], : GRID.shape[0]] == 255).all(axis=-1)
    rows, columns = np.nonzero(axial)
    assert rows.mean() < GRID.shape[1] / 2 < GRID.shape[1]
    assert columns.mean() > GRID.shape[0] / 2
