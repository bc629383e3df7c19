"""Restorations of codes: which are drawn anew, weights, scores, random numbers, thresholds."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

sys.path.append(str(Path(__file__).resolve().parents[1] / "models"))

from fake_models import CPU, detect
from made_codes import given_prior

from normscan.detectors import registry
from normscan.errors import ConfigError
from normscan.plugins import complete_settings
from normscan.slices.batch import Batch

# Surprise of the codes 0 to 3: 0.69, 1.2, 2.3 and 2.3 nats.
PROBABILITIES = [0.5, 0.3, 0.1, 0.1]
NATS = -np.log(np.array(PROBABILITIES, np.float32))
FIXED = {"threshold": 2.0, "score_threshold": 2.0, "restorations": 6}


@pytest.fixture
def model():
    return given_prior(PROBABILITIES, side=2, size=4)


def slices_of(codes, noise=0.0):
    """Slices (n, 1, 4, 4) with these maps of codes (n, 2, 2)."""
    plain = (np.asarray(codes, np.float32) / 3).repeat(2, axis=1).repeat(2, axis=2)[:, None]
    random = np.random.default_rng(0).uniform(-noise, noise, plain.shape)
    return (plain + random).astype(np.float32)


def run(model, slices, seed=0, **settings):
    brain = np.ones((len(slices), 4, 4), bool)
    return detect("code_restoration", model, slices, brain, seed=seed, **{**FIXED, **settings})


CODES = [[[0, 1], [1, 0]], [[0, 3], [1, 0]], [[2, 0], [0, 3]]]


def test_only_surprising_codes_are_restored(model):
    slices = slices_of(CODES)
    found = run(model, slices, restorations=1)
    surprising = (np.array(CODES) > 1).repeat(2, axis=1).repeat(2, axis=2)
    assert not found.map[~surprising].any() and found.map[surprising].any()
    np.testing.assert_allclose(found.map, (slices - found.reconstruction)[:, 0], atol=1e-6)
    # What a code was drawn as is one of the codebook.
    values = 3 * found.reconstruction
    np.testing.assert_allclose(values, values.round(), atol=1e-5)


def test_without_surprise_it_is_the_reconstruction(model):
    slices = slices_of(CODES, noise=0.05)
    found = run(model, slices, threshold=5.0)
    with torch.no_grad():
        expected = model.decode_codes(model.code_maps(torch.from_numpy(slices)))
    np.testing.assert_allclose(found.reconstruction, expected, atol=1e-6)
    assert model.pixels.passes == 0, "the detector works on a copy"


@pytest.mark.parametrize("sharpness", [0.0, 0.3, 3.0])
def test_restorations_near_to_the_slice_weigh_more(model, sharpness):
    slices = slices_of(CODES[1:2], noise=0.05)
    ready = registry.prepare(
        "code_restoration", model, device=CPU, contrasts=["FLAIR"], sharpness=sharpness, **FIXED
    )
    codes = ready.model.code_maps(torch.from_numpy(slices))
    (maps,) = ready._restore(codes, ready.model.code_surprise(codes), 2.0, 0, 0)
    decoded = ready.model.decode_codes(maps).detach().numpy().astype(float)
    assert len(np.unique(decoded.round(3), axis=0)) > 1
    residual = slices.astype(float) - decoded
    weights = softmax(sharpness / np.abs(residual).mean(axis=(1, 2, 3)))[:, None, None]
    found = ready.detect(Batch.of(slices), 0)
    np.testing.assert_allclose(
        np.abs(found.map[0]), (weights * np.abs(residual[:, 0])).sum(0), rtol=1e-4, atol=1e-6
    )
    mean = (weights * residual[:, 0]).sum(axis=0)
    np.testing.assert_allclose(slices[0, 0] - found.reconstruction[0, 0], mean, atol=1e-5)
    clear = np.abs(mean) > 1e-5
    np.testing.assert_array_equal(np.sign(found.map[0])[clear], np.sign(mean)[clear])


def test_a_restoration_that_is_the_slice_itself_does_not_divide_by_zero(model):
    found = run(model, slices_of(CODES), threshold=5.0)
    assert np.isfinite(found.map).all() and not found.map.any()


def test_a_slice_s_score_is_the_sum_of_its_surprising_codes(model):
    found = run(model, slices_of(CODES), score_threshold=1.0)
    expected = [2 * NATS[1], NATS[3] + NATS[1], NATS[2] + NATS[3]]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5)
    assert not run(model, slices_of(CODES), score_threshold=4.0).scores.any()


def test_random_numbers_follow_from_seed_and_number_of_the_slice(model):
    slices = slices_of([CODES[2]] * 6)
    found = run(model, slices, sharpness=0.0)
    assert len(np.unique(found.map, axis=0)) > 1
    assert run(model, slices[:4], sharpness=0.0).map.tobytes() == found.map[:4].tobytes()
    assert run(model, slices, seed=1, sharpness=0.0).map.tobytes() != found.map.tobytes()
    for size in (1, 4):
        again = run(model, slices, sharpness=0.0, batch_size=size)
        assert again.map.tobytes() == found.map.tobytes()
    # Neither do slices that need no restoration take random numbers from the others.
    mixed = slices.copy()
    mixed[1] = slices_of(CODES[:1])[0]
    other = run(model, mixed, sharpness=0.0).map
    assert other[2:].tobytes() == found.map[2:].tobytes()


def test_means_converge_to_the_expectation_under_the_prior(model):
    """Without weights, a code that is drawn anew becomes what the prior expects, on average."""
    count = 4000
    found = run(model, slices_of(CODES[1:2]), restorations=count, sharpness=0.0)
    values = np.arange(4) / 3
    mean = values @ PROBABILITIES
    error = 5 * np.sqrt(((values - mean) ** 2) @ PROBABILITIES / count)
    np.testing.assert_allclose(found.reconstruction[0, 0, :2, 2:], mean, atol=error)


class Store:
    """Stands for healthy slices."""

    def __init__(self, slices):
        self.slices = slices

    def __len__(self):
        return len(self.slices)

    def batch(self, numbers):
        return Batch.of(self.slices[numbers])


def tune(model, slices, **settings):
    ready = registry.prepare("code_restoration", model, device=CPU, contrasts=["FLAIR"], **settings)
    return ready.tune(Store(slices))


def test_thresholds_are_quantiles_of_healthy_codes(model):
    codes = np.random.default_rng(1).integers(4, size=(37, 2, 2))
    settings, record = tune(model, slices_of(codes), quantile=0.4, score_quantile=0.6, batch_size=5)
    nats = NATS[codes]
    assert settings == pytest.approx(
        {"threshold": np.quantile(nats, 0.4), "score_threshold": np.quantile(nats, 0.6)}
    )
    assert record["codes"] == nats.size and record["how"] != "fallback"
    assert record["table"] == [
        {"threshold": settings["threshold"], "quantile": 0.4},
        {"score_threshold": settings["score_threshold"], "quantile": 0.6},
    ]


def test_a_threshold_that_is_given_is_not_searched(model):
    settings, record = tune(model, slices_of(CODES), threshold=1.0)
    assert list(settings) == ["score_threshold"] and len(record["table"]) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": "auto"}, "threshold: is 'auto'"),
        ({"score_threshold": "auto"}, "score_threshold: is 'auto'"),
        ({"threshold": -1.0}, "threshold: found -1"),
        ({"quantile": 1.5}, "quantile: found 1.5; must be at most 1"),
        ({"score_quantile": -0.5}, "score_quantile: found -0.5"),
        ({"restorations": 0}, "restorations: found 0"),
        ({"sharpness": -1.0}, "sharpness: found -1"),
        ({"batch_size": 0}, "batch_size: found 0"),
    ],
)
def test_impossible_settings_are_refused(model, settings, message):
    with pytest.raises(ConfigError, match=message):
        run(model, slices_of(CODES), **settings)


def test_impossible_settings_are_refused_when_planning():
    module = registry.load("code_restoration")
    given = {"threshold": "some", "quantile": 1.5, "restorations": 0, "sharpness": -1}
    problems = complete_settings(given, module.SETTINGS, module.ALLOWED, "approaches.a")[1]
    assert [problem.split(": found")[0] for problem in problems] == [
        f"approaches.a.{name}" for name in given
    ]
