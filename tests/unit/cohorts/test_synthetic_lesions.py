"""Eq. 15 of StRegA to the voxel, and lesions of which only the shape is known."""

import numpy as np
import pytest
from scipy import ndimage

from normscan.cohorts.plan_synthetic import SHAPES as PLANNED_SHAPES
from normscan.cohorts.simulation.noise import stream
from normscan.cohorts.synthetic.blend import blended, intensity_range, normalised
from normscan.cohorts.synthetic.intensities import BLENDS, default_contrast, made_pattern
from normscan.cohorts.synthetic.mass_effect import displaced
from normscan.cohorts.synthetic.shapes import SHAPES, made_shape, sphere

SPACING = np.array([2.0, 2.0, 3.0])
RNG = np.random.default_rng(0)
BRAIN = np.zeros((30, 32, 20), bool)
BRAIN[3:27, 3:29, 2:18] = True
HOST = np.where(BRAIN, RNG.normal(500, 20, BRAIN.shape), 0).astype(np.float32)
LESION = np.zeros(BRAIN.shape, bool)
LESION[10:18, 12:20, 6:12] = True
DONOR = RNG.normal(-1, 3, BRAIN.shape).astype(np.float32)


def test_intensities_of_a_lesion_go_from_0_to_1_whatever_is_around_it():
    found = normalised(DONOR, LESION)
    inside = DONOR[LESION].astype(float)
    wanted = (inside - inside.min()) / (inside.max() - inside.min())
    np.testing.assert_allclose(found[LESION], wanted, rtol=1e-6)
    assert not found[~LESION].any() and (found.min(), found.max()) == (0, 1)
    around = DONOR.copy()
    around[~LESION] = 1e6
    np.testing.assert_array_equal(normalised(around, LESION), found)
    assert (normalised(np.full_like(DONOR, 7), LESION)[LESION] == 1).all()


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_equation_15(strength):
    # Whole numbers, so that sums are exact.
    host, pattern = np.rint(HOST), np.where(LESION, np.rint(4 * normalised(DONOR, LESION)) / 4, 0)
    how = {"strength": strength, "low": 0.0, "scale": 256.0, "blend": "add"}
    found = blended(host, pattern, LESION, **how)
    np.testing.assert_array_equal(found - host, strength * 256 * pattern * LESION)
    assert found[~LESION].tobytes() == host[~LESION].tobytes() and found.dtype == np.float32


def test_replaced_tissue_shows_nothing_of_the_host():
    how = {"strength": 2.0, "low": -10.0, "scale": 100.0, "blend": "replace"}
    pattern = normalised(DONOR, LESION)
    found = blended(HOST, pattern, LESION, **how)
    np.testing.assert_allclose(found[LESION], -10 + 200 * pattern[LESION], rtol=1e-5)
    assert found[~LESION].tobytes() == HOST[~LESION].tobytes()
    np.testing.assert_array_equal(found, blended(HOST * 3, pattern, LESION, **how) * LESION
                                  + HOST * ~LESION)  # fmt: skip


def test_the_range_is_that_of_the_brain_and_heeds_no_single_voxel():
    spiked = HOST.copy()
    spiked[5, 5, 5] = 1e6
    low, scale = intensity_range(spiked, BRAIN)
    assert low == 0 and scale == pytest.approx(np.percentile(HOST[BRAIN], 99), rel=1e-3)
    assert intensity_range(HOST - 50, BRAIN) == pytest.approx((-50, scale), rel=1e-3)


def pattern(intensity, contrast=0.5, rng=None, host=HOST):
    low, scale = intensity_range(host, BRAIN)
    rng = rng or np.random.default_rng(1)
    made = made_pattern(intensity, host, BRAIN, LESION, SPACING, low, scale, contrast, rng)
    assert not made[~LESION].any()
    blend = BLENDS[intensity]
    return blended(host, made, LESION, strength=1.0, low=low, scale=scale, blend=blend)


@pytest.mark.parametrize("contrast", [0.5, -0.4])
def test_a_lesion_in_tissue_has_the_stated_contrast_inside_and_fades_at_its_edge(contrast):
    found = (pattern("tissue", contrast) - HOST) / 500
    core = ndimage.binary_erosion(LESION, iterations=2)
    assert found[core].mean() == pytest.approx(contrast, rel=0.15)
    edge = LESION & ~ndimage.binary_erosion(LESION)
    assert abs(found[edge].mean()) < 0.93 * abs(contrast)
    assert np.abs(found[edge]).min() < 0.7 * abs(contrast)
    # Not a flat patch: its intensities vary by more than those of the tissue.
    assert 0.03 < found[core].std() / abs(contrast) < 0.3


def test_tissue_around_is_what_counts():
    halves = HOST.copy()
    halves[:, :, 9:] *= 2
    found = pattern("tissue", 0.5, host=halves) - halves
    assert found[12:16, 14:18, 11].mean() > 1.3 * found[12:16, 14:18, 6].mean()


def test_uniform_and_sampled_lesions():
    _, scale = intensity_range(HOST, BRAIN)
    np.testing.assert_allclose(pattern("uniform")[LESION], scale, rtol=1e-6)
    sampled = pattern("sampled")[LESION]
    assert np.isin(np.round(sampled, 1), np.round(HOST[BRAIN], 1)).mean() > 0.99
    assert not np.array_equal(sampled, HOST[LESION])


@pytest.mark.parametrize("intensity", list(BLENDS))
def test_equal_seeds_give_equal_lesions(intensity):
    one, two = (pattern(intensity, rng=stream(0, "c", "s", "T1w")) for _ in range(2))
    assert one.tobytes() == two.tobytes()


def test_default_contrasts_have_the_signs_of_multiple_sclerosis():
    assert default_contrast("FLAIR") > 0.3 and default_contrast("T2w") > 0.3
    assert default_contrast("T1w") < -0.2


@pytest.mark.parametrize("seed", range(4))
def test_a_sphere_is_one_wavy_ball_around_a_place_in_the_brain(seed):
    found = sphere(BRAIN, SPACING, (8.0, 10.0), np.random.default_rng(seed))
    _, count = ndimage.label(found)
    volume = found.sum() * SPACING.prod()
    assert count == 1
    assert 4 / 3 * np.pi * 6.5**3 < volume < 4 / 3 * np.pi * 12**3
    assert (found & BRAIN).sum() > 0.7 * found.sum()
    again = sphere(BRAIN, SPACING, (8.0, 10.0), np.random.default_rng(seed))
    assert np.array_equal(found, again)
    assert not np.array_equal(found, sphere(BRAIN, SPACING, (8, 10), np.random.default_rng(9)))


def test_a_brain_too_thin_for_a_ball_still_gets_one():
    thin = np.zeros(BRAIN.shape, bool)
    thin[5:25, 5:25, 9:11] = True
    assert (sphere(thin, SPACING, (15.0, 15.0), np.random.default_rng(0)) & thin).any()


def test_shapes_are_known_when_a_run_is_planned():
    assert tuple(SHAPES) == PLANNED_SHAPES


@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_are_as_large_as_asked_and_equal_for_equal_seeds(kind):
    def shape(seed, radius):
        return made_shape(kind, BRAIN, SPACING, (radius, radius), np.random.default_rng(seed))

    def volume(radius):
        return np.mean([shape(seed, radius).sum() for seed in range(6)]) * SPACING.prod()

    ball = 4 / 3 * np.pi * 8**3
    assert 0.2 * ball < volume(8) < 2 * ball
    assert volume(8) > 2 * volume(4)
    assert np.array_equal(shape(3, 7), shape(3, 7)) and not np.array_equal(shape(3, 7), shape(4, 7))
    assert all((shape(seed, 7) & BRAIN).mean() > 0 for seed in range(4))


def test_shapes_differ_in_what_they_are_named_for():
    def shapes(kind):
        brain = np.pad(np.ones((24, 24, 24), bool), 18)
        return [
            made_shape(kind, brain, np.ones(3), (9.0, 9.0), np.random.default_rng(seed))
            for seed in range(6)
        ]

    def length(shape):
        places = np.argwhere(shape)
        return np.sqrt(np.linalg.eigvalsh(np.cov(places.T)))

    def roughness(shape):
        surface = shape & ~ndimage.binary_erosion(shape)
        return surface.sum() / shape.sum() ** (2 / 3)

    ratio = {
        kind: np.mean([length(one)[2] / length(one)[0] for one in shapes(kind)])
        for kind in ("spheres", "ellipsoids")
    }
    assert ratio["spheres"] < 1.3 and ratio["ellipsoids"] > 1.6
    assert np.mean([roughness(one) for one in shapes("blobs")]) > 1.05 * np.mean(
        [roughness(one) for one in shapes("spheres")]
    )
    assert {ndimage.label(one)[1] for one in shapes("blobs")} == {1}
    assert np.mean([ndimage.label(one)[1] for one in shapes("clusters")]) > 1.4


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["above", "inside", "below"])
def test_intensities_are_where_they_say_in_the_normal_range(kind, seed):
    # Two tissues, so that there is a range to be inside of.
    host = HOST.copy()
    host[:, :16][BRAIN[:, :16]] += 300
    darkest, brightest = np.percentile(host[BRAIN & ~LESION], [1, 99])
    found = pattern(kind, rng=np.random.default_rng(seed), host=host)
    core = ndimage.binary_erosion(LESION, iterations=2)
    values, before = found[core].mean(), host[LESION].mean()
    if kind == "above":
        assert values > brightest
    elif kind == "below":
        assert values < darkest
    else:
        assert darkest < values < brightest
        assert abs(values - before) > 0.05 * (brightest - darkest)


def test_the_brain_around_a_lesion_gives_way():
    size = (40, 40, 40)
    brain = np.zeros(size, bool)
    brain[2:38, 2:38, 2:38] = True
    lesion = np.zeros(size, bool)
    lesion[16:24, 16:24, 16:24] = True
    # A plane that lies beside the lesion, as bright as it is far along the first axis.
    image = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], size)
    found = displaced(image, lesion, brain, np.ones(3), 3.0)
    middle = found[:, 20, 20]
    # Right of the lesion stands what was nearer to it, left of it likewise, and less further away.
    moved = np.arange(40) - middle
    assert 1.0 < moved[25] < 3.1 and -3.1 < moved[14] < -1.0
    assert 0 <= moved[33] < 0.6 * moved[25]
    assert np.all(np.diff(middle) > 0), "nothing folds"
    assert found[~brain].tobytes() == np.asarray(image, np.float32)[~brain].tobytes()
    assert displaced(image, lesion, brain, np.ones(3), 0.0).tobytes() == image.tobytes()
