"""Simulated anatomy: a diffeomorphism, a plausible brain in a head, plausible lesions."""

import numpy as np
import pytest
from scipy import ndimage

from normscan.cohorts.simulation import lesions
from normscan.cohorts.simulation.anatomy import (
    COARSE_MM,
    random_displacement,
    subject_anatomy,
    template_points,
)
from normscan.cohorts.simulation.noise import resized, smooth_noise, stream
from normscan.cohorts.simulation.simulate import _patient
from normscan.cohorts.simulation.template import TISSUES, template

SPACING = 3.0


def determinant(points: np.ndarray, spacing: float) -> np.ndarray:
    """Jacobian determinants (x, y, z) of a map given as points (3, x, y, z) in mm."""
    rows = [np.stack(np.gradient(part, spacing)) for part in points.astype(float)]
    return np.linalg.det(np.moveaxis(np.stack(rows), (0, 1), (-2, -1)))


@pytest.mark.parametrize("seed", range(5))
def test_displacement_folds_nowhere(seed):
    displacement = random_displacement(np.random.default_rng(seed), 4.0)
    identity = np.indices(displacement.shape[1:]) * COARSE_MM
    found = determinant(identity + displacement, COARSE_MM)
    assert found.min() > 0.1
    assert displacement.std() > 1


def test_displacement_of_no_strength_is_none():
    assert not random_displacement(np.random.default_rng(0), 0.0).any()


def test_opposite_velocities_undo_each_other():
    """exp(v) after exp(-v) is the identity, for a stationary velocity."""
    there = random_displacement(np.random.default_rng(7), 2.0)
    back = random_displacement(np.random.default_rng(7), -2.0)
    points = np.indices(there.shape[1:]).astype(float)
    moved = points + back / COARSE_MM
    again = moved + np.stack(
        [ndimage.map_coordinates(p / COARSE_MM, moved, order=1, mode="nearest") for p in there]
    )
    inner = (slice(None), *[slice(4, -4)] * 3)
    assert np.abs(again - points)[inner].max() * COARSE_MM < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_whole_map_folds_nowhere_with_a_tumour_either(seed):
    rng = np.random.default_rng(seed)
    base = template(SPACING)
    origin = template_points(rng, base, 2.5, 1.4)
    tumour = lesions.place_tumour(rng, SPACING)
    for points in (origin, tumour.pushed(origin, base)):
        assert determinant(points, SPACING).min() > 0.1
    shift = np.sqrt(((tumour.pushed(origin, base) - origin) ** 2).sum(axis=0))
    assert 2 < shift.max() < 15
    outside = np.sqrt(((origin - tumour.centre.reshape(3, 1, 1, 1)) ** 2).sum(axis=0)) > 90
    assert shift[outside].max() < 0.5


@pytest.mark.parametrize("subject", ["01", "02", "03"])
def test_brain_volume_and_tissues(subject):
    anatomy, found = _patient(0, "c", subject, "none", SPACING, 2.5, True)
    assert found.fractions == {}
    assert 1.2 < anatomy.brain.sum() * SPACING**3 / 1e6 < 1.7
    total = anatomy.fractions.sum(axis=0)
    assert anatomy.fractions.min() >= 0 and total.max() < 1.001
    inside = total[ndimage.binary_erosion(anatomy.brain)]
    assert inside.min() > 0.75 and inside.mean() > 0.97
    share = [anatomy.tissue(t)[anatomy.brain].sum() / anatomy.brain.sum() for t in TISSUES[:3]]
    assert 0.03 < share[0] < 0.3 and 0.35 < share[1] < 0.7 and 0.25 < share[2] < 0.5
    assert 5 < anatomy.ventricles.sum() * SPACING**3 / 1000 < 60


def test_head_surrounds_the_brain_and_can_be_left_out():
    rng = [stream(0, "c", "01", "anatomy") for _ in range(2)]
    full, bare = (subject_anatomy(r, SPACING, head=h) for r, h in zip(rng, (True, False)))
    assert np.array_equal(full.brain, bare.brain)
    assert not bare.fractions[:, ~bare.brain].any()
    skull = full.tissue("bone") + full.tissue("marrow")
    far = ndimage.distance_transform_edt(~full.brain, sampling=SPACING)
    shell = (far > 3) & (far < 7) & (np.arange(far.shape[2]) * SPACING > 90)
    assert skull[shell].mean() > 0.4
    for tissue in ("bone", "marrow", "fat", "muscle", "eye"):
        assert full.tissue(tissue).sum() * SPACING**3 / 1000 > 5


def test_anatomy_is_alike_at_every_resolution():
    masks = {}
    for spacing in (3.0, 6.0):
        anatomy = subject_anatomy(stream(0, "c", "01", "anatomy"), spacing, head=False)
        masks[spacing] = anatomy.brain
    shape = masks[6.0].shape
    fine = resized(masks[3.0].astype(np.float32), 2.0, shape) > 0.5
    both = 2 * (fine & masks[6.0]).sum() / (fine.sum() + masks[6.0].sum())
    assert both > 0.95


@pytest.mark.parametrize("subject", ["01", "02", "03", "04"])
def test_ms_lesions_are_small_many_and_in_white_matter(subject):
    anatomy, found = _patient(0, "c", subject, "ms", 2.0, 2.5, False)
    mask = found.fractions["ms"] > 0.5
    assert 4 < mask.sum() * 2.0**3 / 1000 < 30
    pieces, count = ndimage.label(mask)
    assert 4 <= count <= 26
    assert mask[~anatomy.brain].sum() == 0
    assert anatomy.tissue("wm")[mask].mean() > 0.6
    near = ndimage.distance_transform_edt(~anatomy.ventricles, sampling=2.0)
    white = anatomy.tissue("wm") > 0.8
    assert np.median(near[mask]) < 12 < np.median(near[white])


@pytest.mark.parametrize("subject", ["01", "02", "03"])
def test_tumour_has_core_rim_and_oedema_in_one_place(subject):
    anatomy, found = _patient(0, "c", subject, "tumour", 2.0, 2.5, False)
    labels = lesions.labelled(found.fractions)
    volumes = {value: (labels == value).sum() * 2.0**3 / 1000 for value in (1, 2, 4)}
    assert 0.3 < volumes[1] < 30 and 2 < volumes[4] < 40 and 5 < volumes[2] < 120
    assert not labels[~anatomy.brain].any()
    pieces, _ = ndimage.label(labels > 0)
    assert np.bincount(pieces.ravel())[1:].max() > 0.95 * (labels > 0).sum()
    # The necrosis is wrapped in the rim.
    shell = ndimage.binary_dilation(labels == 1) & (labels != 1)
    assert np.isin(labels[shell], (1, 4)).mean() > 0.8


@pytest.mark.parametrize("subject", ["01", "02", "03"])
def test_stroke_crosses_grey_and_white_matter_on_one_side(subject):
    anatomy, found = _patient(0, "c", subject, "stroke", 3.0, 2.5, False)
    mask = found.fractions["stroke"] > 0.5
    assert 5 < mask.sum() * 3.0**3 / 1000 < 150
    assert not mask[~anatomy.brain].any()
    for tissue in ("gm", "wm"):
        assert 0.15 < anatomy.tissue(tissue)[mask].mean() < 0.85
    assert len(np.unique(np.sign(anatomy.origin[0][mask]))) == 1


def test_labels_are_those_of_the_largest_fraction():
    fractions = {
        "necrosis": np.array([0.6, 0.3, 0.0, 0.0]),
        "rim": np.array([0.3, 0.4, 0.3, 0.1]),
        "oedema": np.array([0.0, 0.3, 0.1, 0.9]),
    }
    assert lesions.labelled(fractions).tolist() == [1, 4, 0, 2]


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_smooth_noise_has_unit_variance(sigma):
    found = smooth_noise(np.random.default_rng(0), (80, 80, 80), sigma)
    assert found[10:-10, 10:-10, 10:-10].std() == pytest.approx(1, abs=0.12)


def test_streams_differ_by_everything_they_are_named_by():
    names = [(0, "c", "01", "a"), (1, "c", "01", "a"), (0, "d", "01", "a")]
    names += [(0, "c", "02", "a"), (0, "c", "01", "b")]
    assert len({stream(*name).integers(2**63) for name in names}) == len(names)
    assert stream(*names[0]).integers(2**63) == stream(*names[0]).integers(2**63)
