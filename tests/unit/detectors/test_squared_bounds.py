"""Restorations under a Gaussian likelihood: squares in the objective, and in the proximal map."""

from functools import partial

import numpy as np
import pytest
import torch
from fake_models import CPU
from scipy.optimize import minimize
from test_proximal_restoration import STEPS, Anchored

from normscan.detectors.inference import for_inference
from normscan.detectors.proximal_restoration import descend
from normscan.detectors.restoration import descend as plain_descend
from normscan.detectors.restoration import objective
from normscan.detectors.variation import (
    ACCURACY,
    shrink_variation,
    shrink_variation_well,
    total_variation,
)
from normscan.models import registry


class Squared(Anchored):
    """Expects one image whatever it sees, with a Gaussian likelihood."""

    elbo_power = 2


def zeros(images):
    return torch.zeros_like(images[..., 1:, :]), torch.zeros_like(images[..., 1:])


def test_the_proximal_map_of_squares_agrees_with_scipy():
    generator = torch.Generator().manual_seed(0)
    images, centre = (torch.randn(1, 1, 4, 4, generator=generator).double() for _ in range(2))
    length, weight = torch.tensor([0.7], dtype=torch.double), 0.3
    found, _ = shrink_variation(images, centre, length, weight, 3000, zeros(images), 2)

    # Smooth enough for a quasi-Newton method, too little to move the minimum much.
    def smooth(flat):
        r = flat.reshape(4, 4)
        steps = np.concatenate([np.diff(r, axis=0).ravel(), np.diff(r).ravel()])
        square = ((r - images[0, 0].numpy()) ** 2).sum() / 1.4 + (
            (r - centre[0, 0].numpy()) ** 2
        ).sum()
        return square + weight * np.sqrt(steps**2 + 1e-10).sum()

    expected = minimize(smooth, images.flatten().numpy(), method="L-BFGS-B", tol=1e-14).x
    np.testing.assert_allclose(found.flatten(), expected, atol=2e-3)


@pytest.mark.parametrize("length", [0.1, 1.0, 10.0])
def test_without_tv_pixels_go_a_part_of_their_way(length):
    images, centre = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    lengths = torch.full((2,), length)
    found, _ = shrink_variation(images, centre, lengths, 0.0, 1, zeros(images), 2)
    torch.testing.assert_close(found, (images + 2 * length * centre) / (1 + 2 * length))


def test_the_map_of_squares_is_solved_to_its_accuracy():
    generator = torch.Generator().manual_seed(0)
    images, centre = (torch.randn(3, 1, 24, 24, generator=generator).double() for _ in range(2))
    length = torch.tensor([0.05, 0.2, 0.004], dtype=torch.float64)

    def value(r):
        square = (r - images).square().flatten(1).sum(dim=1) / (2 * length)
        return square + (r - centre).square().flatten(1).sum(dim=1) + 1.8 * total_variation(r)

    exact = shrink_variation(images, centre, length, 1.8, 3000, zeros(images), 2)[0]
    found = shrink_variation_well(images, centre, length, 1.8, 10, zeros(images), 2)[0]
    kept = 1.8 * total_variation(found) + (found - centre).square().flatten(1).sum(dim=1)
    assert (value(found) - value(exact) <= ACCURACY * kept).all()


def test_both_solvers_go_the_same_way():
    """Without TV a pixel's distance from what is expected falls like exp(-2 t)."""
    inputs, expected = torch.rand(3, 1, 8, 8), torch.rand(1, 8, 8) * 2
    found = descend(Squared(expected), inputs, tv_weight=0.0, **STEPS)
    exact = expected + (inputs - expected) * np.exp(-2 * STEPS["time"])
    torch.testing.assert_close(found, exact, atol=0.05, rtol=0)


@pytest.mark.parametrize("family", ["vae", "gmvae"])
@pytest.mark.parametrize("weight", [0.0, 0.6])
def test_the_objective_is_about_that_of_the_published_loop(family, weight):
    """Long steps of the map, which is implicit, go a little less far along a square."""
    torch.manual_seed(0)
    settings = {"network": "you2019", "bottleneck": "spatial", "latent": 1}
    model = registry.build(family, (1, 1, 16), likelihood="gaussian", seed=1, **settings)
    model, inputs = for_inference(model, CPU), torch.rand(3, 1, 16, 16)
    assert model.elbo_power == 2
    plain = plain_descend(model, inputs, tv_weight=weight, steps=125, step_size=4e-3)
    found = descend(model, inputs, tv_weight=weight, **STEPS)
    with torch.no_grad():
        value = partial(objective, model, inputs=inputs, tv_weight=weight)
        ours, theirs, before = (value(x) for x in (found, plain, inputs))
    assert (ours <= before).all()
    assert (ours <= theirs * 1.12).all()
