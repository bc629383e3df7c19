"""The intensity baseline against ranks of scipy."""

import numpy as np
import pytest
from fake_models import detect
from scipy.stats import rankdata

from normscan.errors import ConfigError


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
