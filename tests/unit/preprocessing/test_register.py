import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import made_heads as phantoms
import numpy as np
import pytest
from made_heads import POSE

from normscan.errors import ConfigError, NormscanError, ScanError
from normscan.files import file_digest, load_nifti
from normscan.preprocessing import pairwise, register
from normscan.preprocessing.atlases import atlas, atlas_grid
from normscan.preprocessing.grids import Grid, read_volume
from normscan.preprocessing.resample import resample_to_grid, to_native
from normscan.preprocessing.transforms import read_affine

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def run(prepared, folder, atlases, **changes):
    Path(folder).mkdir(parents=True, exist_ok=True)
    context = {"skull_stripped": False, "cohort_space": "", "atlases": atlases, "seed": 0}
    settings = {**register.SETTINGS, "atlas": "phantom", "transform": "rigid", **context, **changes}
    return register.run(prepared, Path(folder), **settings)


@pytest.fixture(scope="module")
def registered(patient, own_atlas, tmp_path_factory):
    return run(patient, tmp_path_factory.mktemp("registered"), own_atlas)


def brain_points():
    points = phantoms.points_of(phantoms.grid(12.0))
    return points[phantoms.brain(points)]


def moved(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def test_known_pose_is_recovered_within_a_millimetre(registered):
    found = LPS @ read_affine(registered.transforms["T1w"][-1]) @ LPS
    error = np.linalg.norm(moved(found, brain_points()) - moved(POSE, brain_points()), axis=1)
    assert error.mean() < 1.0
    assert error.max() < 2.0


def test_known_pose_is_recovered_on_coarser_voxels(patient, own_atlas, registered, tmp_path):
    scan = patient.only(["T1w"])
    result = run(replace(scan, brain="", lesions=""), tmp_path, own_atlas, resolution=6.0)
    found = LPS @ read_affine(result.transforms["T1w"][-1]) @ LPS
    error = np.linalg.norm(moved(found, brain_points()) - moved(POSE, brain_points()), axis=1)
    assert error.mean() < 2.0
    assert not np.array_equal(found, LPS @ read_affine(registered.transforms["T1w"][-1]) @ LPS)


def test_contrasts_are_brought_to_each_other(registered):
    between = phantoms.rigid((1, -1, 2), (2, -1, 1))
    found = LPS @ read_affine(registered.transforms["FLAIR"][-1]) @ LPS
    truth = between @ POSE
    error = np.linalg.norm(moved(found, brain_points()) - moved(truth, brain_points()), axis=1)
    assert error.mean() < 1.0


def test_left_stays_left(registered):
    for contrast in ("T1w", "FLAIR"):
        data, grid = read_volume(registered.images[contrast])
        points = phantoms.points_of(grid)
        mirrored = phantoms.spot(points * [-1, 1, 1])
        assert data[phantoms.spot(points)].mean() > 1.2 * data[mirrored].mean()


def test_all_volumes_are_on_the_atlas_grid(registered, own_atlas):
    wanted = atlas_grid(atlas("phantom", own_atlas))
    for path in registered.files():
        assert Grid.of(path).same_as(wanted)
        assert Path(path).name.startswith("sub-01_space-phantom_")
    assert registered.space == "phantom"


def test_labels_are_kept(registered, patient):
    before, before_grid = read_volume(patient.lesions, np.int16)
    after, grid = read_volume(registered.lesions, np.int16)
    assert set(np.unique(after)) == set(np.unique(before)) == {0, 3}
    # Volume may change by no more than a shell of one voxel around the lesion.
    radius = (3 * (before > 0).sum() * before_grid.voxel_ml * 1000 / (4 * np.pi)) ** (1 / 3)
    shell = 4 * np.pi * radius**2 * grid.spacing.max() / 1000
    assert (
        abs((after > 0).sum() * grid.voxel_ml - (before > 0).sum() * before_grid.voxel_ml) < shell
    )
    truth = phantoms.mask(grid, phantoms.spot)
    assert 2 * (truth & (after > 0)).sum() / (truth.sum() + (after > 0).sum()) > 0.8
    assert registered.quality["lesion_ml"] == pytest.approx((after > 0).sum() * grid.voxel_ml)


def test_brain_mask_follows_the_volume_it_was_drawn_on(registered):
    brain, grid = read_volume(registered.brain, np.uint8)
    truth = phantoms.mask(grid, phantoms.brain)
    assert set(np.unique(brain)) == {0, 1}
    assert 2 * (truth & (brain > 0)).sum() / (truth.sum() + (brain > 0).sum()) > 0.95


def test_back_to_native_has_the_scan_own_grid(registered, patient):
    data, affine = to_native(registered.lesions, registered, "FLAIR", interpolation="nearest")
    wanted = Grid.of(patient.native["FLAIR"])
    assert data.shape == wanted.shape
    assert np.array_equal(affine, wanted.affine)
    truth = read_volume(patient.lesions, np.int16)[0] > 0
    assert 2 * (truth & (data > 0)).sum() / (truth.sum() + (data > 0).sum()) > 0.7
    assert set(np.unique(data)) == {0, 3}


def test_a_wrong_affine_would_be_noticed(registered, patient):
    right, affine = to_native(registered.brain, registered, "T1w", interpolation="nearest")
    brain = read_volume(registered.brain)[0]
    shifted = Grid.of(registered.brain).affine.copy()
    shifted[0, 3] += 12
    wrong, _ = to_native(brain, registered, "T1w", affine=shifted, interpolation="nearest")
    truth = read_volume(patient.brain)[0] > 0

    def dice(data):
        return 2 * (truth & (data > 0)).sum() / (truth.sum() + (data > 0).sum())

    assert dice(right) > 0.95 > dice(wrong) + 0.05


def test_repeats_are_bit_identical(patient, own_atlas, registered, tmp_path):
    again = run(patient, tmp_path / "again", own_atlas)
    for one, other in zip(registered.files(), again.files(), strict=True):
        assert file_digest(one) == file_digest(other)
    for contrast in registered.transforms:
        one, other = registered.transforms[contrast], again.transforms[contrast]
        assert [file_digest(p) for p in one] == [file_digest(p) for p in other]


def test_affine_finds_scaling(own_atlas, patient, tmp_path):
    scaled = POSE @ np.diag([1.08, 0.95, 1.05, 1.0])
    grid = phantoms.grid(3.0)
    path = phantoms.save(tmp_path / "t1.nii.gz", phantoms.head(grid, pose=scaled), grid)
    scan = replace(patient, images={"T1w": path}, native={"T1w": path}, brain="", lesions="")
    result = run(scan, tmp_path / "out", own_atlas, transform="affine")
    found = LPS @ read_affine(result.transforms["T1w"][-1]) @ LPS
    error = np.linalg.norm(moved(found, brain_points()) - moved(scaled, brain_points()), axis=1)
    assert error.mean() < 1.5


def test_deformable_registration_can_be_undone(own_atlas, patient, tmp_path):
    grid = phantoms.grid(4.0)
    path = phantoms.save(tmp_path / "t1.nii.gz", phantoms.head(grid, pose=POSE), grid)
    brain = phantoms.mask(grid, phantoms.brain, POSE)
    mask = phantoms.save(tmp_path / "brain.nii.gz", brain, grid, np.uint8)
    scan = replace(patient, images={"T1w": path}, native={"T1w": path}, brain=mask, lesions="")
    result = run(scan, tmp_path / "out", own_atlas, transform="syn", spacing=4)
    assert len(result.transforms["T1w"]) == 2
    back, _ = to_native(result.brain, result, "T1w", interpolation="nearest")
    assert 2 * (brain & (back > 0)).sum() / (brain.sum() + (back > 0).sum()) > 0.95
    assert Grid.of(result.images["T1w"]).spacing == pytest.approx([4, 4, 4])


def test_scans_in_the_atlas_space_are_not_interpolated(own_atlas, patient, tmp_path):
    head = own_atlas["phantom"]["head"]
    scan = replace(patient, images={"T1w": head}, native={"T1w": head}, brain="", lesions="")
    result = run(scan, tmp_path / "out", own_atlas, cohort_space="phantom")
    data, grid = read_volume(result.images["T1w"])
    assert np.array_equal(data, resample_to_grid(head, grid.shape, grid.affine))
    whole, source = read_volume(head)
    offset = np.rint(np.linalg.inv(source.affine) @ np.array([*grid.affine[:3, 3], 1])).astype(int)
    window = tuple(slice(o, o + n) for o, n in zip(offset, grid.shape))
    assert np.allclose(data, whole[window], rtol=1e-5, atol=1e-3)
    assert np.array_equal(read_affine(result.transforms["T1w"][0]), np.eye(4))


def test_contrasts_of_another_space_share_one_transform(own_atlas, patient, tmp_path):
    grid = phantoms.grid(4.0)
    images = {
        name: phantoms.save(tmp_path / f"{name}.nii.gz", phantoms.head(grid, values), grid)
        for name, values in (("T1w", phantoms.T1W), ("FLAIR", phantoms.FLAIR))
    }
    scan = replace(patient, images=images, native=images, brain="", lesions="")
    result = run(scan, tmp_path / "out", own_atlas, cohort_space="elsewhere")
    one, other = (read_affine(result.transforms[name][-1]) for name in ("T1w", "FLAIR"))
    assert np.array_equal(one, other)


def test_mask_of_a_contrast_that_is_not_wanted(patient, own_atlas, registered, tmp_path):
    result = run(patient.only(["T1w"]), tmp_path / "out", own_atlas)
    assert set(result.images) == {"T1w"}
    assert file_digest(result.lesions) == file_digest(registered.lesions)


def test_label_maps_of_anatomy_go_the_way_of_lesions(patient, own_atlas, tmp_path):
    scan = replace(patient, anatomy=patient.lesions)
    result = run(scan, tmp_path / "out", own_atlas, cohort_space="phantom")
    lesions, anatomy = (read_volume(path, np.int32) for path in (result.lesions, result.anatomy))
    assert set(np.unique(anatomy[0])) == {0, 3}
    np.testing.assert_array_equal(anatomy[0], lesions[0])
    assert anatomy[1].same_as(lesions[1])


def test_mask_on_a_foreign_grid_is_an_error(patient, own_atlas, tmp_path):
    grid = phantoms.grid(5.0)
    foreign = phantoms.save(tmp_path / "mask.nii.gz", np.ones(grid.shape), grid, np.uint8)
    with pytest.raises(ScanError, match=r"sub-01.*mask\.nii\.gz.*grid"):
        run(replace(patient, lesions=foreign), tmp_path / "out", own_atlas)


def test_unknown_transform_names_what_is_allowed(patient, own_atlas, tmp_path):
    with pytest.raises(ConfigError, match="rigid, affine, syn"):
        run(patient, tmp_path, own_atlas, transform="elastic")


def test_impossible_resolution_names_the_range(patient, own_atlas, tmp_path):
    with pytest.raises(ConfigError, match="register.resolution: found 0.2.*1 to 10 mm"):
        run(patient, tmp_path, own_atlas, resolution=0.2)


def test_no_way_back_for_an_unregistered_contrast(registered):
    with pytest.raises(NormscanError, match=r"sub-01.*PD.*FLAIR, T1w"):
        to_native(registered.brain, registered, "PD")


def test_written_volumes_are_float32_and_masks_integers(registered):
    import nibabel

    assert nibabel.load(registered.images["T1w"]).get_data_dtype() == np.float32
    assert nibabel.load(registered.brain).get_data_dtype() == np.uint8
    assert load_nifti(registered.images["T1w"])[0].dtype == np.float32


def test_stripped_scans_are_registered_to_the_brain_and_get_a_mask(own_atlas, patient, tmp_path):
    grid = phantoms.grid(4.0)
    data = phantoms.head(grid, pose=POSE, skull=False)
    data[~phantoms.mask(grid, phantoms.brain, POSE)] = 0
    path = phantoms.save(tmp_path / "t1.nii.gz", data, grid)
    scan = replace(patient, images={"T1w": path}, native={"T1w": path}, brain="", lesions="")
    result = run(scan, tmp_path / "out", own_atlas, skull_stripped=True)
    found = LPS @ read_affine(result.transforms["T1w"][-1]) @ LPS
    error = np.linalg.norm(moved(found, brain_points()) - moved(POSE, brain_points()), axis=1)
    assert error.mean() < 1.0
    brain, where = read_volume(result.brain, np.uint8)
    truth = phantoms.mask(where, phantoms.brain)
    assert 2 * (truth & (brain > 0)).sum() / (truth.sum() + (brain > 0).sum()) > 0.95


def test_an_affine_that_ran_away_is_replaced_by_a_rigid_one(
    own_atlas, patient, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(pairwise, "PLAUSIBLE_SCALE", (5.0, 6.0))
    scan = replace(patient.only(["T1w"]), lesions="")
    result = run(scan, tmp_path / "out", own_atlas, transform="affine")
    matrix = read_affine(result.transforms["T1w"][-1])[:3, :3]
    assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-4)
    assert "rigid used" in caplog.text


def test_a_coarse_scan_is_registered_on_voxels_no_finer_than_its_own(
    patient, tmp_path, monkeypatch
):
    fine, coarse = phantoms.grid(2.0), phantoms.grid(4.0)
    own = {"head": phantoms.save(tmp_path / "head.nii.gz", phantoms.head(fine), fine)}
    path = phantoms.save(tmp_path / "t1.nii.gz", phantoms.head(coarse, pose=POSE), coarse)
    scan = replace(patient, images={"T1w": path}, native={"T1w": path}, brain="", lesions="")
    seen = []
    align = pairwise.coarse_alignment

    def spied(fixed, grid, *others):
        seen.append(grid.spacing)
        return align(fixed, grid, *others)

    monkeypatch.setattr(pairwise, "coarse_alignment", spied)
    result = run(scan, tmp_path / "out", {"phantom": own})
    assert seen[0] == pytest.approx([4, 4, 4])
    found = LPS @ read_affine(result.transforms["T1w"][-1]) @ LPS
    error = np.linalg.norm(moved(found, brain_points()) - moved(POSE, brain_points()), axis=1)
    assert error.mean() < 1.0


def test_ants_is_not_imported_before_it_is_used():
    code = (
        "import sys, normscan.preprocessing.register, normscan.preprocessing.strip_skull; "
        "print(sorted({'ants', 'matplotlib', 'pandas', 'torch'} & set(sys.modules)))"
    )
    path = str(Path(register.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
