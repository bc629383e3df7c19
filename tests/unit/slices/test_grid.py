"""The slice grid: exact positions, antialiasing, nearest-neighbour labels."""

import nibabel
import numpy as np
import pytest
import torch
from scipy import ndimage

from normscan.slices.grid import slice_grid, upright


def world(affine, index):
    return affine[:3, :3] @ np.asarray(index) + affine[:3, 3]


def blob(shape, centre, width):
    places = np.stack(np.indices(shape), axis=-1)
    return np.exp(-(((places - centre) / width) ** 2).sum(axis=-1) / 2)


@pytest.mark.parametrize("size", [16, 48, 100])
@pytest.mark.parametrize("field_of_view", [None, 120.0])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 2.0), (1.5, 0.9, 1.0)])
def test_a_blob_keeps_its_place_in_the_world(size, field_of_view, spacing):
    shape, angle = (90, 110, 6), 0.2
    affine = np.eye(4)
    turn = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    affine[:3, :3] = np.array(turn) @ np.diag(spacing)
    affine[:3, 3] = [-40.3, -61.7, 12.0]
    centre = np.array([38.2, 61.4, 3.0])
    volume = blob(shape, centre, np.array([6, 6, 1.0]) / spacing)
    grid = slice_grid(shape, affine, size, field_of_view)
    found = ndimage.center_of_mass(grid.image(volume))
    pixel = np.linalg.norm(grid.affine[:3, 0])
    distance = np.linalg.norm(world(grid.affine, found) - world(affine, centre))
    assert distance < pixel / 2
    assert distance < 0.2


def test_pixels_are_square_and_the_field_of_view_is_kept():
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    grid = slice_grid((60, 40, 5), affine, 20)
    np.testing.assert_allclose(nibabel.affines.voxel_sizes(grid.affine), [4, 4, 3])
    assert grid.shape == (20, 20, 5)
    middle = world(grid.affine, [9.5, 9.5, 2])
    np.testing.assert_allclose(middle, world(affine, [29.5, 19.5, 2]))
    fixed = slice_grid((60, 40, 5), affine, 20, field_of_view=100)
    np.testing.assert_allclose(nibabel.affines.voxel_sizes(fixed.affine), [5, 5, 3])


def test_the_same_grid_gives_the_same_values():
    volume = np.random.default_rng(0).normal(size=(24, 24, 4)).astype(np.float32)
    grid = slice_grid(volume.shape, np.eye(4), 24)
    np.testing.assert_array_equal(grid.image(volume), volume)
    labels = (volume > 1).astype(np.uint8)
    np.testing.assert_array_equal(grid.labels(labels), labels)
    np.testing.assert_array_equal(grid.affine, np.eye(4))


@pytest.mark.parametrize("size", [16, 20, 30, 80])
def test_resizing_agrees_with_torch(size):
    volume = np.zeros((40, 40, 3))
    # Away from the border, where torch repeats the edge and a slice grid goes on with background.
    volume[8:32, 8:32] = np.random.default_rng(1).normal(size=(24, 24, 3))
    images = torch.from_numpy(volume).permute(2, 0, 1)[:, None]
    expected = torch.nn.functional.interpolate(
        images, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
    found = slice_grid(volume.shape, np.eye(4), size).image(volume)
    np.testing.assert_allclose(found, expected[:, 0].permute(1, 2, 0), atol=1e-6)


def test_averages_are_kept_when_slices_get_smaller():
    volume = np.random.default_rng(2).uniform(size=(64, 64, 2))
    volume[:8] = volume[-8:] = 0
    volume[:, :8] = volume[:, -8:] = 0
    grid = slice_grid(volume.shape, np.eye(4), 16)
    assert grid.image(volume).sum() * 16 == pytest.approx(volume.sum(), rel=1e-3)


def test_no_label_is_invented_and_areas_are_kept():
    labels = np.zeros((100, 80, 3), np.int16)
    labels[30:62, 20:60] = 4
    labels[62:70, 20:60] = 1
    grid = slice_grid(labels.shape, np.eye(4), 50)
    found = grid.labels(labels)
    assert found.dtype == labels.dtype
    assert set(np.unique(found)) == {0, 1, 4}
    for label in (1, 4):
        assert (found == label).sum() * 4 == pytest.approx((labels == label).sum(), rel=0.15)


def test_nearest_neighbour_agrees_with_scipy():
    # Odd sizes: no pixel's centre is between two voxels, where scipy rounds up.
    labels = np.random.default_rng(3).integers(0, 5, (31, 27, 2))
    grid = slice_grid(labels.shape, np.diag([1.0, 1.3, 1, 1]), 21)
    matrix = np.diag([*grid.steps, 1.0])
    expected = ndimage.affine_transform(
        labels, matrix, offset=[*grid.starts, 0], output_shape=grid.shape, order=0, mode="constant"
    )
    inside = np.s_[2:-2, 2:-2]
    np.testing.assert_array_equal(grid.labels(labels)[inside], expected[inside])


def disc(shape, centre, radius):
    places = np.stack(np.indices(shape), axis=-1)[..., :2]
    return ((places - centre) ** 2).sum(axis=-1) <= radius**2


@pytest.mark.parametrize("ratio", [2, 4])
def test_labels_are_not_moved_at_even_ratios(ratio):
    shape = (64, 64, 1)
    grid = slice_grid(shape, np.eye(4), 64 // ratio)
    moved = []
    # A disc at every place that it can have against the pixels.
    for offset in np.ndindex(ratio, ratio):
        centre = np.array([20, 31]) + offset
        found = ndimage.center_of_mass(grid.labels(disc(shape, centre, 9).astype(np.uint8)))
        moved.append(world(grid.affine, found)[:2] - centre)
    np.testing.assert_allclose(np.mean(moved, axis=0), 0, atol=1e-9)
    assert np.abs(moved).max() < ratio / 4


@pytest.mark.parametrize(("source", "size"), [(32, 16), (33, 16), (30, 15), (32, 32), (30, 20)])
def test_a_mirrored_label_map_gives_the_mirrored_result(source, size):
    labels = np.random.default_rng(5).choice([0, 0, 0, 1, 4], (source, source - 1, 3))
    grid = slice_grid(labels.shape, np.eye(4), size)
    found = grid.labels(labels)
    for axis in (0, 1):
        np.testing.assert_array_equal(grid.labels(np.flip(labels, axis)), np.flip(found, axis))


def test_areas_at_an_even_ratio_are_kept_within_a_shell():
    noise = ndimage.gaussian_filter(np.random.default_rng(6).normal(size=(96, 96, 1)), (4, 4, 0))
    labels = noise > 0.03
    area = slice_grid(labels.shape, np.eye(4), 48).labels(labels).sum() * 4
    plane = labels[..., 0]
    assert ndimage.binary_erosion(plane).sum() < area < ndimage.binary_dilation(plane).sum()
    assert area == pytest.approx(labels.sum(), rel=0.1)


def test_origins_are_the_voxels_that_pixels_were_taken_from():
    labels = np.zeros((32, 32, 2), np.uint8)
    labels[10:12, 8:10, 0] = 1  # a pixel of its own
    labels[21, 21, 1] = 1  # a quarter of a pixel
    grid = slice_grid(labels.shape, np.eye(4), 16)
    kept = grid.labels(labels) > 0
    assert np.argwhere(kept).tolist() == [[5, 4, 0]]
    found = grid.origins(kept)
    assert found.shape == labels.shape and found.sum() == 4 and found[10:12, 8:10, 0].all()


def test_what_lies_outside_is_background():
    volume = np.ones((20, 20, 2))
    grid = slice_grid(volume.shape, np.eye(4), 20, field_of_view=40)
    image, labels = grid.image(volume), grid.labels(volume.astype(np.uint8))
    for found in (image, labels):
        assert (found[:4] == 0).all() and (found[:, -4:] == 0).all()
        assert (found[8:12, 8:12] == 1).all()


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
def test_volumes_are_turned_upright_without_a_change_of_place(codes):
    volume = np.random.default_rng(4).normal(size=(5, 6, 7))
    order = nibabel.orientations.axcodes2ornt(codes)
    image = nibabel.Nifti1Image(volume, np.diag([1.0, 2, 3, 1])).as_reoriented(order)
    turned, affine = upright(np.asarray(image.dataobj), image.affine)
    assert nibabel.aff2axcodes(affine) == ("R", "A", "S")
    canonical = nibabel.as_closest_canonical(image)
    np.testing.assert_array_equal(turned, np.asarray(canonical.dataobj))
    np.testing.assert_allclose(affine, canonical.affine)
