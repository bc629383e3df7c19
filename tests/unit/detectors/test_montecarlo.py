"""Monte Carlo against closed forms of a linear-Gaussian model."""

import numpy as np
import pytest
import torch
from fake_models import CPU
from scipy.stats import foldnorm

from normscan.detectors import montecarlo
from normscan.errors import ConfigError
from normscan.models import ae


def run(model, slices, brain, seed=0, **settings):
    return montecarlo.detect(model, slices, brain, seed=seed, device=CPU, **settings)


def test_means_converge_to_their_expectations(linear, slices, brain):
    count = 4000
    found = run(linear, slices[:2], brain[:2], samples=count)
    weight = linear.weight.detach().double().numpy()
    deviation = (linear.spread * np.sqrt((weight**2).sum(axis=1))).reshape(1, 4, 4)
    with torch.no_grad():
        mean = linear.reconstruct(torch.from_numpy(slices[:2]))[:, 0].numpy()
    error = 5 * deviation / np.sqrt(count)
    assert (np.abs(found.reconstruction[:, 0] - mean) < error).all()
    residual = slices[:2, 0] - mean
    expected = foldnorm.mean(np.abs(residual) / deviation, scale=deviation)
    assert (np.abs(np.abs(found.map) - expected) < error).all()
    clear = np.abs(residual) > error
    assert clear.any()
    np.testing.assert_array_equal(np.sign(found.map)[clear], np.sign(residual)[clear])


def test_without_spread_it_is_the_reconstruction(linear, slices, brain):
    linear.spread = 0
    found = run(linear, slices, brain, samples=3)
    with torch.no_grad():
        expected = slices - linear.reconstruct(torch.from_numpy(slices)).numpy()
    np.testing.assert_allclose(found.map, expected[:, 0], atol=1e-5)


def test_samples_are_independent_within_and_between_groups(linear, brain):
    """The error of the mean falls with the number of samples, over several groups too."""
    slices = np.zeros((200, 1, 4, 4), np.float32)
    many = np.ones((200, 4, 4), bool)
    spread = {
        samples: run(linear, slices, many, samples=samples).reconstruction.std()
        for samples in (1, montecarlo.GROUP, 4 * montecarlo.GROUP)
    }
    one = spread[1]
    for samples, found in spread.items():
        assert found == pytest.approx(one / np.sqrt(samples), rel=0.15)


def test_seeds_and_slices_have_their_own_numbers(linear, brain):
    slices = np.zeros((2, 1, 4, 4), np.float32)
    one, other = (run(linear, slices, brain[:2], seed=seed, samples=2).map for seed in (0, 1))
    assert not np.allclose(one, other)
    assert not np.allclose(one[0], one[1])


def test_model_without_anything_random_is_refused(brain):
    slices = np.zeros((1, 1, 16, 16), np.float32)
    with pytest.raises(ConfigError, match="dropout"):
        run(ae.build(1, 16), slices, np.ones((1, 16, 16), bool))


@pytest.mark.parametrize("samples", [0, -3])
def test_number_of_samples_is_checked(linear, slices, brain, samples):
    with pytest.raises(ConfigError, match="samples"):
        run(linear, slices, brain, samples=samples)
