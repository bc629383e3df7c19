import numpy as np
import pytest
from scipy import ndimage

from normscan.errors import ConfigError, NormscanError
from normscan.postprocessing.filter import apply_prior, eroded, filter_map

SIGNED = np.array([-2.0, 0.0, 0.5], np.float32)


@pytest.mark.parametrize(
    "prior, expected",
    [("none", [2, 0, 0.5]), ("hyperintense", [0, 0, 0.5]), ("hypointense", [2, 0, 0])],
)
def test_priors(prior, expected):
    np.testing.assert_array_equal(apply_prior(SIGNED, prior), expected)


def test_an_unknown_prior_is_named():
    with pytest.raises(ConfigError, match="'bright'.*hyperintense"):
        apply_prior(SIGNED, "bright")


def brain(shape=(12, 12, 6)):
    mask = np.zeros(shape, bool)
    mask[1:11, 1:11, 1:5] = True
    return mask


def test_erosion_stays_in_the_slice():
    smaller = eroded(brain(), 2)
    expected = np.zeros((12, 12, 6), bool)
    expected[3:9, 3:9, 1:5] = True
    np.testing.assert_array_equal(smaller, expected)


def test_no_erosion_keeps_the_mask():
    np.testing.assert_array_equal(eroded(brain(), 0), brain())


def test_a_brain_at_the_edge_of_the_volume_is_eroded_there_too():
    assert not eroded(np.ones((5, 5, 2), bool), 1)[0].any()


def test_filtered_maps_are_masked_medians():
    signed = np.random.default_rng(0).normal(size=(12, 12, 6)).astype(np.float32)
    found = filter_map(signed, brain(), prior="hyperintense", erosion=1, median=3)
    inside = eroded(brain(), 1)
    score = np.where(inside, np.maximum(signed, 0), 0)
    expected = np.where(inside, ndimage.median_filter(score, 3, mode="constant"), 0)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32 and found.any()
    assert not found[~inside].any()


def test_without_median_and_erosion_only_the_prior_and_the_mask_act():
    signed = np.random.default_rng(0).normal(size=(12, 12, 6)).astype(np.float32)
    found = filter_map(signed, brain(), prior="none", erosion=0, median=1)
    np.testing.assert_array_equal(found, np.where(brain(), np.abs(signed), 0))


def test_scores_that_are_not_finite_are_refused_only_in_the_brain():
    signed = np.zeros((12, 12, 6), np.float32)
    signed[0, 0, 0] = np.nan
    settings = {"prior": "none", "erosion": 0, "median": 3}
    assert not filter_map(signed, brain(), **settings).any()
    signed[5, 5, 2] = np.nan
    with pytest.raises(NormscanError, match="not finite"):
        filter_map(signed, brain(), **settings)


def test_a_mask_on_another_grid_is_refused():
    with pytest.raises(NormscanError, match=r"\(12, 12, 5\)"):
        filter_map(np.zeros((12, 12, 5)), brain(), prior="none", erosion=0, median=1)
