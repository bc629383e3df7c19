"""Images whose intensities wrapped around are noticed."""

import numpy as np
from scipy import ndimage

from normscan.cohorts.checks import NOISE_ROUGHNESS, roughness


def head() -> np.ndarray:
    """A smooth object with some noise on an empty background."""
    rng = np.random.default_rng(0)
    volume = ndimage.gaussian_filter(rng.random((40, 40, 30)), 3)
    volume = (volume - volume.min()) / np.ptp(volume) * 900 + 100
    volume += rng.normal(0, 20, volume.shape)
    grid = np.indices(volume.shape) - 18
    return np.where((grid**2).sum(axis=0) < 15**2, volume, 0).astype(np.float32)


def test_noise_is_rough_and_heads_are_not():
    noise = np.random.default_rng(1).random((20, 20, 20)).astype(np.float32)
    assert 1.3 < roughness(noise) < 1.5
    assert roughness(head()) < 0.7


def test_wrapped_intensities_are_noticed():
    wrapped = (head() * 20).astype(np.uint16).astype(np.uint8).astype(np.float32)
    assert roughness(wrapped) > NOISE_ROUGHNESS


def test_constant_and_empty_volumes_have_none():
    assert roughness(np.zeros((5, 5, 5), np.float32)) == 0
