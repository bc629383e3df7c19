import made_heads as phantoms
import nibabel
import numpy as np
import pytest
from scipy import ndimage

from normscan.errors import NormscanError
from normscan.preprocessing.grids import (
    Grid,
    cut,
    ras_grid,
    ras_order,
    read_mask,
    read_volume,
    world_box,
)
from normscan.preprocessing.resample import resample, thinned

OBLIQUE = phantoms.grid((2, 3, 4), half=(20, 24, 30), affine=phantoms.rigid((5, 9, -7), (3, 1, 2)))


def test_isotropic_grid_covers_the_box():
    box = np.array([[-10.0, -7.5, 3.0], [11.0, 9.0, 20.0]])
    grid = ras_grid(box, 2.0)
    covered = world_box(grid)
    assert (covered[0] <= box[0]).all() and (covered[1] >= box[1]).all()
    assert (covered[1] - covered[0] - (box[1] - box[0]) < 2.0).all()
    assert nibabel.aff2axcodes(grid.affine) == ("R", "A", "S")


def test_reordered_axes_keep_every_voxel_in_place():
    codes = nibabel.orientations.axcodes2ornt(("P", "S", "R"))
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6)), np.diag([2.0, 2.0, 3.0, 1.0]))
    turned = image.as_reoriented(codes)
    grid = ras_order(Grid(turned.shape, turned.affine))
    assert grid.same_as(Grid((4, 5, 6), image.affine))


def test_cut_keeps_whole_voxels():
    grid = Grid((20, 20, 20), np.diag([1.0, 1.0, 1.0, 1.0]))
    part = cut(grid, np.array([[4.6, 4.4, -50.0], [9.4, 9.6, 50.0]]))
    assert part.shape == (5, 7, 20)
    assert part.affine[:3, 3] == pytest.approx([5, 4, 0])


def test_box_of_a_mask_includes_voxel_edges():
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[2:5, 3, 7] = True
    box = world_box(Grid(mask.shape, np.diag([2.0, 2.0, 2.0, 1.0])), mask)
    assert box == pytest.approx(np.array([[3.0, 5.0, 13.0], [9.0, 7.0, 15.0]]))


def test_sheared_axes_are_refused():
    affine = np.eye(4)
    affine[0, 1] = 0.3
    with pytest.raises(NormscanError, match="right angles"):
        Grid((4, 4, 4), affine).direction()


def test_trailing_axis_is_dropped_and_time_series_are_refused(tmp_path):
    path = tmp_path / "one.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6, 1), dtype=np.float32), np.eye(4)), path)
    assert read_volume(path)[0].shape == (4, 5, 6)
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6, 2), dtype=np.float32), np.eye(4)), path)
    with pytest.raises(NormscanError, match=r"one\.nii\.gz.*4 dimensions"):
        read_volume(path)


def test_nearly_one_counts_as_one(tmp_path):
    data = np.array([0, 1.00000006, 0.99999997, 0.2], dtype=np.float32).reshape(2, 2, 1)
    path = phantoms.save(tmp_path / "mask.nii.gz", data, Grid(data.shape, np.eye(4)))
    assert read_mask(path)[0].ravel().tolist() == [False, True, True, False]
    assert read_volume(path, np.int16)[0].ravel().tolist() == [0, 1, 1, 0]


def test_not_finite_values_are_refused(tmp_path):
    path = phantoms.save(
        tmp_path / "x.nii.gz", np.full((2, 2, 2), np.nan), Grid((2, 2, 2), np.eye(4))
    )
    with pytest.raises(NormscanError, match=r"x\.nii\.gz.*not finite"):
        read_volume(path)


def test_resampling_agrees_with_scipy():
    rng = np.random.default_rng(0)
    data = ndimage.gaussian_filter(rng.normal(size=OBLIQUE.shape), 2).astype(np.float32)
    target = phantoms.grid(3.0, half=(10, 10, 10))
    found = resample(data, OBLIQUE, target)
    inverse = np.linalg.inv(OBLIQUE.affine)
    places = phantoms.points_of(target) @ inverse[:3, :3].T + inverse[:3, 3]
    wanted = ndimage.map_coordinates(data, np.moveaxis(places, -1, 0), order=1)
    assert np.allclose(found, wanted, atol=1e-5 * np.abs(data).max())


def test_same_grid_is_not_interpolated():
    data = np.random.default_rng(0).normal(size=OBLIQUE.shape).astype(np.float32)
    assert np.array_equal(resample(data, OBLIQUE, OBLIQUE), data)


def test_unknown_interpolation_is_refused():
    with pytest.raises(NormscanError, match=r"spline.*linear, nearest"):
        resample(np.zeros(OBLIQUE.shape), OBLIQUE, OBLIQUE, interpolation="spline")


def test_antialiasing_averages_noise_and_keeps_the_mean():
    fine, coarse = phantoms.grid(1.0, half=(20, 20, 20)), phantoms.grid(3.0, half=(12, 12, 12))
    data = np.random.default_rng(0).normal(100, 10, fine.shape).astype(np.float32)
    plain, smooth = (resample(data, fine, coarse, antialias=choice) for choice in (False, True))
    assert smooth.mean() == pytest.approx(100, abs=0.5)
    assert smooth.std() < 0.5 * plain.std()


def test_thinned_volumes_stay_in_place():
    fine = phantoms.grid((1, 1, 3), half=(30, 30, 30))
    points = phantoms.points_of(fine)
    data = (points[..., 0] + 2 * points[..., 1]).astype(np.float32)
    coarse, grid = thinned(data, fine, 3.0)
    assert grid.spacing == pytest.approx([3, 3, 3])
    inner = (slice(2, -2),) * 3
    places = phantoms.points_of(grid)[inner]
    assert np.allclose(coarse[inner], places[..., 0] + 2 * places[..., 1], atol=1e-3)
