"""Monte Carlo against closed forms of a linear-Gaussian model."""

import copy

import numpy as np
import pytest
import torch
from fake_models import Linear, detect
from scipy.stats import foldnorm

from normscan.detectors import montecarlo
from normscan.detectors.sampling import slice_seed
from normscan.errors import ConfigError
from normscan.models import registry


def run(model, slices, brain, **settings):
    return detect("montecarlo", model, slices, brain, **settings)


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


@pytest.mark.parametrize("contrasts", [1, 2])
@pytest.mark.parametrize("samples", [1, 7, montecarlo.GROUP, montecarlo.GROUP + 3])
def test_uncertainty_is_the_deviation_of_the_samples(contrasts, samples):
    """Of samples far from 0: of each contrast, in units of intensity, then their mean."""
    model = Linear(contrasts=contrasts)
    decode = model.decode
    model.decode = lambda code: decode(code) + 100
    slices = np.random.default_rng(0).random((3, contrasts, 4, 4), dtype=np.float32)
    drawn = [[] for _ in slices]
    with torch.no_grad():
        code = model.encode(torch.from_numpy(slices))
        for number, samples_of in enumerate(drawn):
            generator = torch.Generator().manual_seed(slice_seed(5, number))
            for start in range(0, samples, montecarlo.GROUP):
                count = min(montecarlo.GROUP, samples - start)
                own = code[number : number + 1].expand(count, -1)
                samples_of.append(model.decode_sample(own, generator).double().numpy())
    expected = [np.concatenate(one).std(axis=0).mean(axis=0) for one in drawn]
    brain = np.ones((3, 4, 4), bool)
    names = ["T1w", "FLAIR"][:contrasts]
    found = run(model, slices, brain, samples=samples, seed=5, contrasts=names).uncertainty
    assert found.dtype == np.float32 and found.shape == (3, 4, 4)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert (found == 0).all() if samples == 1 else (found > 0.05).any()


def test_without_anything_random_there_is_no_uncertainty(slices, brain):
    class Same(Linear):
        def decode_sample(self, code, generator):
            return torch.full((len(code), 1, 4, 4), 0.1)

    found = run(Same(), slices, brain, samples=montecarlo.GROUP + 3).uncertainty
    assert found.shape == brain.shape and (found == 0).all()


def test_uncertainty_does_not_depend_on_the_batch(slices, brain, monkeypatch):
    found = {}
    for size in (1, 3, 100):
        monkeypatch.setattr(montecarlo, "SLICES_AT_ONCE", size)
        found[size] = run(Linear(), slices, brain, samples=5).uncertainty
    assert found[1].any()
    np.testing.assert_allclose(found[3], found[1], atol=1e-6)
    np.testing.assert_allclose(found[100], found[1], atol=1e-6)


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


@pytest.fixture(scope="module")
def autoencoder():
    """An AE, slices and their brain."""
    slices = np.random.default_rng(0).random((2, 1, 16, 16), dtype=np.float32)
    return registry.build("ae", (1, 1, 16), latent=8), slices, np.ones((2, 16, 16), bool)


def test_an_ae_is_sampled_about_its_own_reconstruction(autoencoder):
    """With a linear decoder, E[code * mask / (1 - p)] = code carries over to the images."""
    model, slices, brain = autoencoder
    model = copy.deepcopy(model).eval()
    linear = torch.nn.Linear(8, 256)
    model.decoder = torch.nn.Sequential(linear, torch.nn.Unflatten(1, (1, 16, 16)))
    count, rate = 2000, 0.3
    found = run(model, slices, brain, samples=count, dropout=rate)
    with torch.no_grad():
        code, expected = (f(torch.from_numpy(slices)) for f in (model.encode, model.reconstruct))
        variance = code.square() @ linear.weight.square().T * rate / (1 - rate)
    error = (variance / count).sqrt().reshape(slices.shape).numpy()
    assert (np.abs(found.reconstruction - expected.numpy()) < 5 * error + 1e-5).all()


def test_with_hardly_any_dropout_a_bayesian_ae_is_the_ae(autoencoder):
    plain = detect("reconstruction", *autoencoder)
    found = run(*autoencoder, samples=3, dropout=1e-9)
    np.testing.assert_allclose(found.map, plain.map, atol=1e-6)
    assert np.abs(run(*autoencoder, samples=3).map - plain.map).max() > 1e-4


def test_the_rate_is_the_trained_one_unless_given(autoencoder):
    usual, same, other = (
        run(*autoencoder, samples=3, dropout=rate).map for rate in (None, 0.2, 0.5)
    )
    np.testing.assert_array_equal(usual, same)
    assert not np.allclose(usual, other)


@pytest.mark.parametrize("settings", [{"dropout": 0.0}, {"bottleneck": "spatial"}])
def test_model_without_anything_random_is_refused(autoencoder, settings):
    with pytest.raises(ConfigError, match="dropout"):
        run(registry.build("ae", (1, 1, 16), **settings), *autoencoder[1:])


@pytest.mark.parametrize("rate", [0, 1.0, -0.1, True, "some"])
def test_rates_that_drop_nothing_or_everything_are_refused(autoencoder, rate):
    with pytest.raises(ConfigError, match="dropout: found"):
        run(*autoencoder, dropout=rate)


@pytest.mark.parametrize("samples", [0, -3])
def test_number_of_samples_is_checked(linear, slices, brain, samples):
    with pytest.raises(ConfigError, match="samples"):
        run(linear, slices, brain, samples=samples)
