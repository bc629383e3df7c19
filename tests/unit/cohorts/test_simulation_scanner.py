"""The simulated scanner: geometry, slice profile, noise."""

import nibabel
import numpy as np
import pytest
from scipy import stats

from normscan.cohorts.simulation.scanner import (
    Grid,
    bias_field,
    head_motion,
    rician,
    rotation,
    sampled,
    scanner_grid,
    stored,
)
from normscan.cohorts.simulation.simulate import simulate_scan
from normscan.files import load_nifti

AFFINE = np.array([[2.0, 0, 0, -40], [0, 2.0, 0, -50], [0, 0, 2.0, -30], [0, 0, 0, 1]])
SHAPE = (41, 51, 31)


def ramp(coefficients, affine=AFFINE, shape=SHAPE):
    """A volume whose value is a linear function of the world position."""
    world = np.tensordot(affine[:3, :3], np.indices(shape), 1) + affine[:3, 3].reshape(3, 1, 1, 1)
    return np.tensordot(coefficients, world, 1).astype(np.float32)


def covered() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[12:30, 15:37, 11:21] = True
    return mask


@pytest.mark.parametrize("voxel", [(1.2, 1.2, 3.0), (2.0, 2.0, 2.0), (3.0, 1.0, 5.0)])
def test_a_voxel_sees_what_lies_at_its_world_position(voxel):
    """Averages of a linear function are its value at the centre, on any grid."""
    coefficients = np.array([1.0, -2.0, 0.5])
    grid = scanner_grid(np.random.default_rng(1), covered(), AFFINE, voxel, oblique=True)
    found = sampled(ramp(coefficients), AFFINE, grid)
    expected = ramp(coefficients, grid.affine, grid.shape)
    world = np.tensordot(grid.affine[:3, :3], np.indices(grid.shape), 1)
    world += grid.affine[:3, 3].reshape(3, 1, 1, 1)
    inner = np.all([abs(w) < limit - 5 for w, limit in zip(world, (40, 50, 30))], axis=0)
    assert inner.sum() > 500
    assert np.abs(found - expected)[inner].max() < 1e-2
    assert grid.voxel == pytest.approx(voxel)


def test_motion_moves_the_head_and_not_the_grid():
    motion = np.eye(4)
    motion[:3, 3] = [1.5, 0, 0]
    grid = Grid(SHAPE, AFFINE)
    still = sampled(ramp([1.0, 0, 0]), AFFINE, grid)
    moved = sampled(ramp([1.0, 0, 0]), AFFINE, grid, motion)
    assert np.allclose((moved - still)[2:-2], 1.5, atol=1e-4)


def test_thick_slices_average_over_their_thickness():
    thin = np.zeros(SHAPE, np.float32)
    thin[:, :, 10] = 1.0
    affine = AFFINE.copy()
    affine[:3, 2] *= 3
    affine[2, 3] = -30 + 2.0  # the first thick slice holds the first three thin ones
    found = sampled(thin, AFFINE, Grid((41, 51, 10), affine))
    assert found[5, 5].tolist() == pytest.approx([0, 0, 0, 1 / 3, 0, 0, 0, 0, 0, 0], abs=1e-6)


def test_equal_grids_change_nothing():
    volume = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    assert np.allclose(sampled(volume, AFFINE, Grid(SHAPE, AFFINE)), volume, atol=1e-5)


@pytest.mark.parametrize("oblique", [True, False])
def test_grid_covers_the_head(oblique):
    mask = covered()
    grid = scanner_grid(np.random.default_rng(4), mask, AFFINE, (1.5, 1.5, 3.0), oblique)
    world = np.argwhere(mask) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    index = (world - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
    assert (index > -0.5).all() and (index < np.array(grid.shape) - 0.5).all()
    plain = nibabel.aff2axcodes(grid.affine)
    assert plain == (("L", "A", "S") if oblique else ("R", "A", "S"))
    turned = np.abs(grid.affine[:3, :3] / grid.voxel)
    assert oblique == bool((turned[~np.eye(3, dtype=bool)] > 1e-4).any())


def test_motion_and_pose_stay_small():
    for seed in range(50):
        motion = head_motion(np.random.default_rng(seed))
        angle = np.degrees(np.arccos(np.clip((np.trace(motion[:3, :3]) - 1) / 2, -1, 1)))
        assert angle < 2 and np.linalg.norm(motion[:3, 3]) < 2
        assert np.allclose(motion[:3, :3] @ motion[:3, :3].T, np.eye(3))


def test_rotation_about_each_axis():
    quarter = [rotation(np.eye(3)[axis] * 90) for axis in range(3)]
    assert np.allclose(quarter[0] @ [0, 1, 0], [0, 0, 1])
    assert np.allclose(quarter[1] @ [0, 0, 1], [1, 0, 0])
    assert np.allclose(quarter[2] @ [1, 0, 0], [0, 1, 0])


@pytest.mark.parametrize("signal", [0.0, 0.1, 0.5])
def test_noise_is_rician(signal):
    found = rician(np.random.default_rng(0), np.full((30, 30, 30), signal, np.float32), 0.1)
    assert stats.kstest(found.ravel(), stats.rice(signal / 0.1, scale=0.1).cdf).pvalue > 0.01


def test_bias_field_is_smooth_and_within_its_limits():
    field = bias_field(np.random.default_rng(0), (40, 50, 20), 0.3)
    assert np.exp(-0.301) <= field.min() < 0.95 and 1.05 < field.max() <= np.exp(0.301)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in range(3)) < 0.15
    assert np.array_equal(bias_field(np.random.default_rng(0), (4, 5, 6), 0.0), np.ones((4, 5, 6)))


def test_stored_integers_mark_the_inside():
    values = np.array([[[0.0, 1e-6, 0.5, 100.0]]])
    assert stored(values, None).tolist() == [[[0, 0, 300, 32767]]]
    inside = np.array([[[False, True, True, False]]])
    assert stored(values, inside).tolist() == [[[0, 1, 300, 0]]]


def test_contrasts_of_a_subject_agree_in_the_world(tmp_path):
    """Two contrasts on different, oblique grids show the brain at the same place."""
    simulate_scan(tmp_path, "01", cohort="c", head=False, contrasts=["T1w", "FLAIR"], spacing=3)
    centres, volumes, affines = [], [], []
    for contrast in ("T1w", "FLAIR"):
        data, affine = load_nifti(tmp_path / f"sub-01/anat/sub-01_{contrast}.nii.gz")
        place = np.argwhere(data > 0)
        centres.append(place.mean(axis=0) @ affine[:3, :3].T + affine[:3, 3])
        volumes.append(len(place) * abs(np.linalg.det(affine[:3, :3])))
        affines.append(affine)
    assert not np.allclose(affines[0], affines[1])
    assert np.linalg.norm(centres[0] - centres[1]) < 2.5
    assert volumes[0] == pytest.approx(volumes[1], rel=0.02)


def test_voxel_sizes_by_contrast(tmp_path):
    spacing = {"T1w": 4, "FLAIR": [3, 3, 5]}
    simulate_scan(
        tmp_path, "01", cohort="c", head=False, spacing=spacing, contrasts=["T1w", "FLAIR"]
    )
    for contrast, size in (("T1w", (4, 4, 4)), ("FLAIR", (3, 3, 5))):
        image = nibabel.load(tmp_path / f"sub-01/anat/sub-01_{contrast}.nii.gz")
        assert image.header.get_zooms() == pytest.approx(size)
        assert image.get_data_dtype() == np.int16
