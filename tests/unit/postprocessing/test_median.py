"""The 3D median is SciPy's, whatever the shape, the values and the number of threads."""

import numpy as np
import pytest
from scipy import ndimage

from normscan.errors import ConfigError
from normscan.postprocessing import median
from normscan.postprocessing.median import median_filter


def volume(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(9, 14, 11), (1, 1, 1), (2, 30, 3), (16, 5, 1), (3, 40, 40)])
@pytest.mark.parametrize("width", [3, 5, 7])
def test_equals_scipy(shape, width):
    values = volume(shape)
    expected = ndimage.median_filter(values, width, mode="constant")
    np.testing.assert_array_equal(median_filter(values, width), expected)


@pytest.mark.parametrize("width", [3, 5])
def test_equals_scipy_on_a_sparse_volume_with_ties(width):
    values = np.maximum(np.round(volume((24, 20, 18)), 1), 0)
    values[:7], values[:, :4], values[..., 15:] = 0, 0, 0
    expected = ndimage.median_filter(values, width, mode="constant")
    assert expected.any()
    np.testing.assert_array_equal(median_filter(values, width), expected)


def test_chunks_and_threads_do_not_change_the_result(monkeypatch):
    values = volume((7, 61, 13))
    whole = median_filter(values, 5)
    monkeypatch.setattr(median, "CHUNK", 13 * 12)
    np.testing.assert_array_equal(median_filter(values, 5), whole)
    np.testing.assert_array_equal(median_filter(values, 5, threads=3), whole)


def test_the_input_is_left_as_it_is():
    values = volume((6, 6, 6))
    before = values.copy()
    for width in (1, 5):
        median_filter(values, width)[:] = 0
    np.testing.assert_array_equal(values, before)


def test_an_empty_volume_stays_empty():
    assert not median_filter(np.zeros((4, 5, 6), np.float32), 5).any()


@pytest.mark.parametrize("width", [0, 4, -3])
def test_a_width_without_centre_is_refused(width):
    with pytest.raises(ConfigError, match=f"median: found {width}"):
        median_filter(volume((4, 4, 4)), width)
