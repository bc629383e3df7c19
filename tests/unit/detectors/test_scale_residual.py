"""Residuals at several scales, on residuals that are known."""

import numpy as np
import pytest
import torch
from fake_models import Convolutional, detect

from normscan.detectors.scale_residual import over_scales
from normscan.errors import ConfigError


@pytest.fixture
def scan():
    slices = np.random.default_rng(0).random((3, 1, 16, 16), dtype=np.float32)
    return slices, np.ones((3, 16, 16), bool)


def test_one_scale_is_the_residual(scan):
    model = Convolutional()
    one = detect("scale_residual", model, *scan, levels=1)
    plain = detect("reconstruction", model, *scan)
    np.testing.assert_array_equal(one.map, plain.map)
    np.testing.assert_array_equal(one.reconstruction, plain.reconstruction)


def test_what_is_large_stays_and_what_is_small_goes_down():
    residual = torch.zeros(2, 1, 32, 32)
    residual[0, 0, 8:24, 8:24] = 1.0
    residual[1, 0, 16, 16] = -1.0
    found = over_scales(residual, 3)
    assert found[0, 16, 16] == pytest.approx(1.0, abs=0.02)
    # A third of it, and what is left of it at coarser scales.
    assert -0.45 < found[1, 16, 16] < -1 / 3
    assert found[0, :4, :4].abs().max() < 0.01


def test_slices_that_cannot_be_halved_so_often_are_refused(scan):
    with pytest.raises(ConfigError, match="levels: found 5; slices of 16 pixels"):
        detect("scale_residual", Convolutional(), *scan, levels=5)
