"""The gradient detector against autograd by hand."""

import numpy as np
import pytest
import torch
from fake_models import detect

from normscan.models import registry


@pytest.fixture
def model():
    return registry.build("context_vae", (1, 1, 16), latent=8, seed=3).eval()


@pytest.fixture
def inputs():
    return np.random.default_rng(0).random((3, 1, 16, 16), np.float32)


def by_hand(model, inputs):
    """Gradient of the bound, and the residual, slice by slice."""
    slopes, residuals = [], []
    for one in torch.from_numpy(inputs):
        leaf = one[None].clone().requires_grad_()
        model.elbo_loss(leaf).backward()
        slopes.append(leaf.grad[0, 0].numpy())
        residuals.append((one - model.reconstruct(one[None])[0]).detach()[0].numpy())
    return np.stack(slopes), np.stack(residuals)


def run(model, inputs, **settings):
    brain = np.ones(inputs[:, 0].shape, bool)
    return detect("gradient", model, inputs, brain, **settings)


def test_the_magnitude_weights_the_residual(model, inputs):
    slopes, residuals = by_hand(model, inputs)
    found = run(model, inputs)
    np.testing.assert_allclose(found.map, np.abs(slopes) * residuals, atol=1e-4)
    np.testing.assert_allclose(found.reconstruction[:, 0], inputs[:, 0] - residuals, atol=1e-5)


def test_the_gradient_alone_keeps_the_sign_of_the_residual(model, inputs):
    slopes, residuals = by_hand(model, inputs)
    found = run(model, inputs, residual=False)
    np.testing.assert_allclose(found.map, np.abs(slopes) * np.sign(residuals), atol=1e-4)
