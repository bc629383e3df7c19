"""Detectors that give what a model says as it is."""

import numpy as np
import pytest
import torch
from fake_models import Scores, detect

from normscan.errors import ConfigError
from normscan.workflow.protocols import parse_protocol


@pytest.fixture
def slices():
    return np.random.default_rng(0).normal(size=(5, 2, 8, 8)).astype(np.float32)


@pytest.fixture
def found(slices):
    def detected(name):
        return detect(name, Scores(), slices, np.ones((5, 8, 8), bool), batch_size=2)

    return detected


def test_energies_are_those_of_the_model(found, slices):
    map = found("pixel_energy").map
    np.testing.assert_allclose(map, 2 * np.abs(slices).mean(axis=1), rtol=1e-6)


def test_energies_are_of_one_kind_of_features_where_it_is_named(slices):
    class Kinds(Scores):
        def energy_by_feature(self, slices, kind):
            return {"reduced": 3, "translated": 4}[kind] * self.energy(slices)

    brain = np.ones((5, 8, 8), bool)
    maps = {
        kind: detect("pixel_energy", Kinds(), slices, brain, batch_size=2, features=kind).map
        for kind in (None, "reduced", "translated")
    }
    np.testing.assert_array_equal(maps["reduced"], 3 * maps[None])
    np.testing.assert_array_equal(maps["translated"], 4 * maps[None])


def test_kinds_of_features_are_refused_when_planned():
    whole = {
        "contrasts": ["T1w", "FLAIR"],
        "preprocessing": [{"register": {}}],
        "slices": {"size": 128},
        "models": {
            "ae": {"family": "ae"},
            "adm": {"family": "adm"},
            "bank": {"family": "feature_bank", "uses": {"features": "ae"}},
        },
        "approaches": {
            "fine": {"model": "adm", "detector": "pixel_energy", "features": "translated"},
            "none": {"model": "bank", "detector": "pixel_energy", "features": "translated"},
            "word": {"model": "adm", "detector": "pixel_energy", "features": "translation"},
        },
    }
    cannot, unknown = parse_protocol("p", whole)[1]
    assert "approaches.none.features" in cannot and "cannot energy_by_feature" in cannot
    assert "approaches.word.features: found 'translation'" in unknown


def test_probabilities_are_those_of_the_model(found, slices):
    map = found("segmentation").map
    np.testing.assert_allclose(map, 1 / (1 + np.exp(-2 * slices.mean(axis=1))), rtol=1e-5)


def test_scores_of_slices_are_those_of_the_model(found, slices):
    own = found("slice_score")
    assert own.map is None and own.reconstruction is None
    np.testing.assert_allclose(own.scores, 2 * slices.max(axis=(1, 2, 3)), rtol=1e-6)


def test_half_precision_becomes_float32(slices):
    class Half(Scores):
        def energy(self, slices):
            return super().energy(slices).bfloat16()

    map = detect("pixel_energy", Half(), slices, np.ones((5, 8, 8), bool)).map
    assert map.dtype == np.float32 and torch.isfinite(torch.from_numpy(map)).all()


def test_energies_below_zero_are_refused(slices):
    """Else the absolute value, which is the score, would call the most normal pixels abnormal."""

    class Below(Scores):
        def energy(self, slices):
            return super().energy(slices) - 1

    with pytest.raises(ConfigError, match="energies down to -0.9.*start at 0"):
        detect("pixel_energy", Below(), slices, np.ones((5, 8, 8), bool))
