"""The Gaussian likelihood: training against torch.distributions, the bound with a fixed sigma."""

import pytest
import torch
from torch.distributions import Normal

from normscan.detectors.inference import elbo_and_gradient
from normscan.models import registry
from normscan.models.parts.gaussian import kl_to_standard
from normscan.models.parts.likelihood import HIGHEST, LOWEST, bounded
from normscan.slices.batch import Batch

FAMILIES = ["vae", "gmvae"]
YOU2019 = {"network": "you2019", "bottleneck": "spatial", "latent": 1}


def made(family, **settings):
    return registry.build(family, (1, 1, 16), **{**YOU2019, **settings}).eval()


@pytest.fixture
def slices():
    return torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("targets", [1, 2])
def test_training_maximises_the_density_under_the_predicted_deviation(family, targets):
    model = registry.build(
        family, (targets, targets, 16), latent=4, likelihood="gaussian", kl_weight=0.0
    ).eval()
    slices = torch.rand(3, targets, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    losses = model.losses(Batch.of(slices))
    torch.manual_seed(1)
    codes = model.encoder(slices)
    z = codes[0] + torch.randn(codes[0].shape) * (0.5 * codes[1]).exp()
    images = model.decoder(z)
    assert images.shape == (3, 2 * targets, 16, 16)
    mean, log_variance = images[:, :targets], bounded(images[:, targets:])
    density = Normal(mean, (0.5 * log_variance).exp()).log_prob(slices)
    torch.testing.assert_close(losses["loss"], -density.sum() / 3)
    torch.testing.assert_close(losses["reconstruction"], (slices - mean).abs().mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_training_stops_by_the_density_of_held_out_slices(slices, family):
    """With an L1 likelihood by the L1 error, as before."""
    model = made(family, likelihood="gaussian")
    mean, log_variance = model.decoder(model.encoder(slices)[0]).chunk(2, dim=1)
    density = Normal(mean, (0.5 * bounded(log_variance)).exp()).log_prob(slices)
    found = model.validation_loss("main", Batch.of(slices))
    torch.testing.assert_close(found, -density.flatten(1).mean(dim=1))
    assert "negative_log" in model.losses(Batch.of(slices))
    plain = made(family)
    error = (slices - plain.reconstruct(slices)).abs().flatten(1).mean(dim=1)
    torch.testing.assert_close(plain.validation_loss("main", Batch.of(slices)), error)
    assert "negative_log" not in plain.losses(Batch.of(slices))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_second_output_is_of_the_network_of_table_3(slices, family):
    plain, gaussian = made(family), made(family, likelihood="gaussian")
    shapes = [m.decoder.stages[-1].weight.shape for m in (plain, gaussian)]
    assert shapes == [(1, 64, 3, 3), (2, 64, 3, 3)]
    assert gaussian.encoder(slices)[0].shape == (5, 1, 4, 4)
    assert gaussian.reconstruct(slices).shape == slices.shape
    generator = torch.Generator().manual_seed(0)
    sample = gaussian.decode_sample(gaussian.encode(slices), generator)
    assert sample.shape == slices.shape


@pytest.mark.parametrize("family", FAMILIES)
def test_a_restoration_sees_squared_errors_whatever_deviation_is_predicted(slices, family):
    """-log N(x; mu, 1/2) is (x - mu)^2 and a constant."""
    model = made(family, likelihood="gaussian")
    expected, rest = model.elbo_parts(slices)
    fixed = Normal(expected, 0.5**0.5)
    density = fixed.log_prob(slices) - fixed.log_prob(expected)
    torch.testing.assert_close(model.elbo_loss(slices), rest - density.flatten(1).sum(dim=1))
    before = elbo_and_gradient(model, slices)
    with torch.no_grad():
        model.decoder.stages[-1].bias[1] += 3
    torch.testing.assert_close(elbo_and_gradient(model, slices), before)
    torch.testing.assert_close(model.reconstruct(slices), expected)


def test_the_rest_of_the_bound_is_the_divergence(slices):
    model = made("vae", likelihood="gaussian", kl_weight=2.0)
    rest = model.elbo_parts(slices)[1]
    torch.testing.assert_close(rest, 2 * kl_to_standard(*model.encode(slices)))


@pytest.mark.parametrize("family", FAMILIES)
def test_without_the_setting_nothing_is_another(slices, family):
    usual, named = made(family), made(family, likelihood="l1")
    assert usual.elbo_power == named.elbo_power == 1
    assert torch.equal(usual.elbo_loss(slices), named.elbo_loss(slices))
    expected, rest = usual.elbo_parts(slices)
    error = (slices - expected).abs().flatten(1).sum(dim=1)
    torch.testing.assert_close(usual.elbo_loss(slices), error + rest)


def test_log_variances_stay_between_their_limits_and_keep_their_gradients():
    values = torch.tensor([-1e4, -50, -10, -3, 0, 1, 4, 30, 1e4], dtype=torch.double)
    found = bounded(values)
    assert (found >= LOWEST).all() and (found <= HIGHEST + 1e-4).all()
    torch.testing.assert_close(found[3:6], values[3:6], atol=0.06, rtol=0)
    assert (found.diff() >= 0).all()
    leaf = torch.tensor([LOWEST - 2, 0.0, HIGHEST + 2], requires_grad=True)
    bounded(leaf).sum().backward()
    assert (leaf.grad > 0.05).all() and leaf.grad[1] > 0.95


def test_a_background_that_is_always_0_is_not_predicted_ever_more_surely():
    """The density of what is known exactly is limited, and so are its gradients."""
    model = made("vae", likelihood="gaussian")
    with torch.no_grad():
        model.decoder.stages[-1].bias[1] = -1e6
        model.decoder.stages[-1].weight.zero_()
    loss = model.losses(Batch.of(torch.zeros(2, 1, 16, 16)))
    least = 256 * 0.5 * (LOWEST + torch.log(torch.tensor(2 * torch.pi)))
    assert loss["loss"] - loss["kl"] >= least - 1e-3
