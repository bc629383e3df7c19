"""The intensity baseline against ranks of scipy."""

import numpy as np
import pytest
from fake_models import detect
from scipy.stats import rankdata

from normscan.errors import ConfigError, NormscanError
from normscan.preprocessing.robust import brain_median


@pytest.fixture
def scan():
    random = np.random.default_rng(0)
    # Few grey values: many are equal.
    slices = random.integers(0, 20, (5, 2, 8, 8)).astype(np.float32)
    return slices, random.random((5, 8, 8)) < 0.6


def test_share_of_brain_voxels_at_most_as_bright(scan):
    slices, brain = scan
    found = detect("intensity", None, slices, brain, contrasts=["T1w", "FLAIR"])
    values = slices[:, 1][brain]
    expected = rankdata(values, method="max") / len(values)
    np.testing.assert_allclose(found.map[brain], expected, rtol=1e-6)
    assert found.map[brain].max() == 1 and not found.map[~brain].any()
    assert found.reconstruction is None and found.map.dtype == np.float32


def test_only_the_order_of_grey_values_counts(scan):
    slices, brain = scan
    one = detect("intensity", None, slices, brain, contrasts=["T1w", "FLAIR"])
    other = detect("intensity", None, np.exp(slices / 5) - 3, brain, contrasts=["T1w", "FLAIR"])
    np.testing.assert_array_equal(one.map, other.map)


def test_voxels_outside_the_brain_do_not_count(scan):
    slices, brain = scan
    changed = np.where(brain[:, None], slices, 1000)
    one = detect("intensity", None, slices, brain, contrasts=["T1w", "FLAIR"])
    other = detect("intensity", None, changed, brain, contrasts=["T1w", "FLAIR"])
    np.testing.assert_array_equal(one.map, other.map)


def test_dark_anomalies_are_negative(scan):
    slices, brain = scan
    chosen = {"contrast": "T1w", "direction": "dark", "contrasts": ["T1w", "FLAIR"]}
    found = detect("intensity", None, slices, brain, **chosen)
    values = slices[:, 0][brain]
    np.testing.assert_allclose(
        -found.map[brain], rankdata(-values, method="max") / len(values), rtol=1e-6
    )


def test_slices_without_brain_have_no_score(scan):
    slices, brain = scan
    found = detect("intensity", None, slices, np.zeros_like(brain), contrasts=["FLAIR", "T1w"])
    assert not found.map.any()


def test_missing_contrast_is_named(scan):
    with pytest.raises(ConfigError, match="'FLAIR'.*T1w, T2w"):
        detect("intensity", None, *scan, contrasts=["T1w", "T2w"])


def test_unknown_direction_is_named(scan):
    with pytest.raises(ConfigError, match="'up'.*bright, dark"):
        detect("intensity", None, *scan, contrasts=["FLAIR", "T1w"], direction="up")


@pytest.fixture
def brains():
    """Positive intensities of two contrasts, with a bright lesion of a tenth of the brain."""
    random = np.random.default_rng(1)
    slices = random.normal(100, 8, (6, 2, 20, 20))
    brain = np.zeros((6, 20, 20), bool)
    brain[:, 2:18, 2:18] = True
    lesion = np.zeros_like(brain)
    lesion[1:4, 4:9, 4:14] = True
    slices[:, 1][lesion] = 170
    return slices.astype(np.float32), brain, lesion


BOTH = {"contrasts": ["T1w", "FLAIR"]}


def test_scaled_is_the_distance_to_the_healthy_median_in_medians(brains):
    slices, brain, lesion = brains
    found = detect("intensity", None, slices, brain, **BOTH, form="scaled", direction="both").map
    healthy = np.median(slices[:, 1][brain & ~lesion])
    expected = slices[:, 1][brain] / healthy - 1
    np.testing.assert_allclose(found[brain], expected, atol=0.01)
    assert found.dtype == np.float32 and not found[~brain].any()
    assert (np.sign(found[brain]) == np.sign(expected)).mean() > 0.95


def test_sides_of_the_scaled_form(brains):
    slices, brain, _ = brains
    of = {
        side: detect("intensity", None, slices, brain, **BOTH, form="scaled", direction=side).map
        for side in ("bright", "dark", "both")
    }
    np.testing.assert_array_equal(of["bright"], np.maximum(of["both"], 0))
    np.testing.assert_array_equal(of["dark"], np.minimum(of["both"], 0))


def test_the_scale_of_the_slices_does_not_count(brains):
    slices, brain, _ = brains
    for settings in ({"form": "scaled"}, {"minus": {"T1w": 0.25}}):
        one = detect("intensity", None, slices, brain, **BOTH, **settings).map
        scale = np.array([3.0, 0.5], np.float32)[:, None, None]
        other = detect("intensity", None, slices * scale, brain, **BOTH, **settings).map
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_both_directions_of_ranks_are_the_difference_of_shares(scan):
    slices, brain = scan
    found = detect("intensity", None, slices, brain, **BOTH, direction="both").map
    values = slices[:, 1][brain]
    bright, dark = (rankdata(sign * values, method="max") / len(values) for sign in (1, -1))
    np.testing.assert_allclose(found[brain], bright - dark, atol=1e-6)


def test_a_difference_of_contrasts_is_taken_by_their_medians(brains):
    slices, brain, _ = brains
    slices = slices * np.array([7.0, 1.0], np.float32)[:, None, None]
    settings = {**BOTH, "form": "scaled", "direction": "both", "minus": {"T1w": 0.25}}
    found = detect("intensity", None, slices, brain, **settings).map[brain]
    flair, t1w = (
        slices[:, place][brain] / brain_median(slices[:, place][brain]) for place in (1, 0)
    )
    difference = flair - 0.25 * t1w
    np.testing.assert_allclose(found - found.mean(), difference - difference.mean(), atol=1e-5)
    assert found.min() < 0 < found.max()
    ranks = detect("intensity", None, slices, brain, **BOTH, minus={"T1w": 0.25}).map[brain]
    expected = rankdata(difference, method="max") / len(difference)
    np.testing.assert_allclose(ranks, expected, rtol=1e-3)


def test_what_is_subtracted_must_be_there_and_another(brains):
    slices, brain, _ = brains
    with pytest.raises(ConfigError, match="minus: found 'T2w', but the slices hold T1w, FLAIR"):
        detect("intensity", None, slices, brain, **BOTH, minus={"T2w": 1.0})
    with pytest.raises(ConfigError, match="minus: found 'FLAIR', the contrast that is looked at"):
        detect("intensity", None, slices, brain, **BOTH, minus={"FLAIR": 1.0})
    with pytest.raises(ConfigError, match="form: found 'z'; allowed: rank, scaled"):
        detect("intensity", None, slices, brain, **BOTH, form="z")


def test_z_scores_have_no_median_to_divide_by(brains):
    slices, brain, _ = brains
    with pytest.raises(NormscanError, match="FLAIR are negative.*than 'zscore'"):
        detect("intensity", None, slices - 100, brain, **BOTH, form="scaled")
    with pytest.raises(NormscanError, match="FLAIR is constant or zero"):
        detect("intensity", None, np.zeros_like(slices), brain, **BOTH, form="scaled")
    # Slices without brain are no error, as of ranks.
    nothing = detect("intensity", None, slices, np.zeros_like(brain), **BOTH, form="scaled")
    assert not nothing.map.any()
