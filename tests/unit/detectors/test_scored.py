"""Detectors that give what a model says as it is."""

import numpy as np
import pytest
import torch
from fake_models import Scores, detect

from normscan.errors import ConfigError


@pytest.fixture
def slices():
    return np.random.default_rng(0).normal(size=(5, 2, 8, 8)).astype(np.float32)


@pytest.fixture
def found(slices):
    def detected(name):
        return detect(name, Scores(), slices, np.ones((5, 8, 8), bool), batch_size=2)

    return detected


def test_energies_are_those_of_the_model(found, slices):
    map = found("per_pixel").map
    np.testing.assert_allclose(map, 2 * np.abs(slices).mean(axis=1), rtol=1e-6)


def test_probabilities_are_those_of_the_model(found, slices):
    map = found("segmentation").map
    np.testing.assert_allclose(map, 1 / (1 + np.exp(-2 * slices.mean(axis=1))), rtol=1e-5)


def test_scores_of_slices_are_those_of_the_model(found, slices):
    own = found("per_slice")
    assert own.map is None and own.reconstruction is None
    np.testing.assert_allclose(own.scores, 2 * slices.max(axis=(1, 2, 3)), rtol=1e-6)


def test_half_precision_becomes_float32(slices):
    class Half(Scores):
        def energy(self, slices):
            return super().energy(slices).bfloat16()

    map = detect("per_pixel", Half(), slices, np.ones((5, 8, 8), bool)).map
    assert map.dtype == np.float32 and torch.isfinite(torch.from_numpy(map)).all()


def test_energies_below_zero_are_refused(slices):
    """Else the absolute value, which is the score, would call the most normal pixels abnormal."""

    class Below(Scores):
        def energy(self, slices):
            return super().energy(slices) - 1

    with pytest.raises(ConfigError, match="energies down to -0.9.*start at 0"):
        detect("per_pixel", Below(), slices, np.ones((5, 8, 8), bool))
