"""Nearest neighbour where positions fall between voxels: no side is favoured."""

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from normscan.preprocessing.grids import Grid
from normscan.preprocessing.nearest import nearest_labels, nearest_voxels
from normscan.preprocessing.resample import resample
from normscan.preprocessing.transforms import write_affine

MIDDLES = [np.array([0.5]), np.array([0.5]), np.array([0])]


@pytest.mark.parametrize(
    ("block", "label"),
    [
        ([[0, 0], [0, 4]], 0),
        ([[0, 0], [2, 2]], 2),
        ([[0, 1], [4, 0]], 4),
        ([[0, 1], [1, 4]], 1),
        ([[3, 1], [1, 3]], 3),
        ([[7, 7], [7, 7]], 7),
    ],
)
def test_the_nearest_voxels_vote(block, label):
    found = nearest_labels(np.array(block)[..., None], MIDDLES)
    assert found.tolist() == [[[label]]]


def test_masks_stay_masks_and_what_is_outside_is_0():
    mask = np.ones((2, 2, 2), bool)
    found = nearest_labels(mask, [np.array([-1.0, -0.5, 0.0, 1.5, 1.6])] + 2 * [np.arange(2)])
    assert found.dtype == bool
    # On the border of the volume one of two nearest voxels is inside.
    assert found[:, 0, 0].tolist() == [False, True, True, True, False]


def test_positions_that_are_not_between_voxels_agree_with_scipy():
    labels = np.random.default_rng(0).integers(0, 5, (9, 10, 11))
    places = [np.linspace(0.3, n - 1.3, 14) for n in labels.shape]
    expected = ndimage.map_coordinates(labels, np.meshgrid(*places, indexing="ij"), order=0)
    np.testing.assert_array_equal(nearest_labels(labels, places), expected)


def test_voters_are_found_again():
    chosen = np.array([True, False, True])[:, None, None]
    places = [np.array([0.5, 2.0, 3.0]), np.array([0]), np.array([0])]
    assert nearest_voxels(chosen, (4, 1, 1), places).ravel().tolist() == [True, True, False, True]
    outside = [np.array([-0.5, 2.0, 3.5]), np.array([0]), np.array([0])]
    assert nearest_voxels(chosen, (4, 1, 1), outside).ravel().tolist() == [True, False, False, True]


def turned(volume, affine, codes):
    """The same volume stored with other axes."""
    order = nibabel.orientations.axcodes2ornt(codes)
    image = nibabel.Nifti1Image(volume, affine).as_reoriented(order)
    return np.asarray(image.dataobj), Grid(image.shape, image.affine)


@pytest.mark.parametrize("identity", [False, True])
def test_labels_keep_their_place_between_grids_with_parallel_axes(tmp_path, identity):
    labels = np.random.default_rng(1).choice([0, 0, 1, 2], (12, 10, 8)).astype(np.uint8)
    affine = np.diag([1.0, 1, 1, 1])
    coarse = np.diag([2.0, 2, 2, 1])
    coarse[:3, 3] = 0.5
    target = Grid((6, 5, 4), coarse)
    transforms = [write_affine(tmp_path / "identity.mat", np.eye(4))] if identity else []
    found = resample(labels, Grid(labels.shape, affine), target, transforms, "nearest")
    assert found.dtype == np.float32 and set(np.unique(found)) <= {0, 1, 2}
    # However the scan is stored, and seen in a mirror: rounding up would give another result.
    for codes in ("LPS", "PIR", "SAL"):
        data, source = turned(labels, affine, codes)
        again = resample(data, source, target, transforms, "nearest")
        np.testing.assert_array_equal(again, found)
    mirrored = resample(labels[::-1], Grid(labels.shape, affine), target, transforms, "nearest")
    np.testing.assert_array_equal(mirrored, found[::-1])
    other = turned(np.zeros(target.shape), coarse, "PIR")[1]
    again = resample(labels, Grid(labels.shape, affine), other, transforms, "nearest")
    np.testing.assert_array_equal(again, turned(found, coarse, "PIR")[0])


@pytest.mark.parametrize("invert", [False, True])
def test_shifts_between_parallel_grids_agree_with_interpolation(tmp_path, invert):
    volume = np.random.default_rng(2).integers(0, 4, (14, 12, 10)).astype(np.float32)
    smooth = ndimage.gaussian_filter(volume, 2)
    affine = np.array([[0, -1.0, 0, 3], [1, 0, 0, -5], [0, 0, 1.5, 2], [0, 0, 0, 1]])
    shift = np.eye(4)
    shift[:3, 3] = [2, -1, 1.5]
    transforms = [write_affine(tmp_path / "shift.mat", shift)]
    source = Grid(volume.shape, affine)
    target = Grid((12, 12, 9), np.diag([1.0, 1, 1.5, 1]))
    target.affine[:3, 3] = [-6, -4, 3.5]
    values = {
        kind: resample(smooth, source, target, transforms, kind, [invert])
        for kind in ("nearest", "linear")
    }
    # Whole voxels: both interpolations give the same values.
    np.testing.assert_allclose(values["nearest"], values["linear"], atol=1e-5)
    assert values["nearest"].any()
