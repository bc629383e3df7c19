"""Lesions that the slices are too coarse for are counted, as the cohort's classes define them."""

import numpy as np
import pytest

from normscan.evaluation.lost_lesions import lost_lesions
from normscan.files import save_nifti
from normscan.slices.grid import slice_grid, upright

SHAPE, AFFINE = (40, 32, 6), np.diag([-1.5, 1, 2.0, 1])


def counted(folder, labels, size, chosen=()):
    save_nifti(folder / "before.nii.gz", labels, AFFINE, np.uint8)
    lesions, ml = lost_lesions(folder / "before.nii.gz", size, None, chosen)
    return lesions, round(ml / 0.003, 6)


def made():
    """One large lesion, a corner of which is another class, two specks and a joined one."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:16, 8:16, 1:4] = 1
    labels[8, 8, 1] = 2
    labels[30, 20, 2], labels[25, 9, 4] = 1, 2
    labels[16, 16, 4] = 1
    return labels


def test_lesions_without_a_voxel_left_are_counted(tmp_path):
    # 60 mm in 10 pixels: every fourth voxel along x, every sixth along y.
    assert counted(tmp_path, made(), 10) == (2, 2)
    assert counted(tmp_path, made(), 10, [1]) == (1, 1)
    assert counted(tmp_path, made(), 10, [2]) == (2, 2)


def test_nothing_is_lost_on_a_fine_grid(tmp_path):
    assert counted(tmp_path, made(), 120) == (0, 0)
    assert counted(tmp_path, np.zeros(SHAPE, np.uint8), 10) == (0, 0)


@pytest.mark.parametrize("size", [10, 15, 20, 24])
def test_what_is_lost_is_what_no_pixel_was_taken_from(tmp_path, size):
    """Against labels sampled one component at a time."""
    from scipy import ndimage

    labels = (np.random.default_rng(size).random(SHAPE) < 0.02).astype(np.uint8)
    labels[4:30, 14:20, 2] = 1
    parts, count = ndimage.label(labels, np.ones((3, 3, 3)))
    turned, affine = upright(parts, AFFINE)
    grid = slice_grid(turned.shape, affine, size)
    left = {part for part in range(1, count + 1) if grid.labels(turned == part).any()}
    assert counted(tmp_path, labels, size)[0] == count - len(left) > 0
