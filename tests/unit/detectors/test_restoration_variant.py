"""What the code published with the restoration does otherwise, and what it holds on to."""

import numpy as np
import pytest
import torch
from fake_models import CPU, Linear, detect

from normscan.detectors.inference import elbo_and_gradient
from normscan.detectors.registry import prepare
from normscan.detectors.restoration import descend
from normscan.detectors.variation import total_variation, variation_gradient
from normscan.errors import ConfigError
from normscan.slices.batch import Batch

NONE = {"tv_weight": 0.0}


def test_the_first_steps_are_of_another_size(linear, slices):
    """On a quadratic every step is a matrix."""
    inputs = torch.from_numpy(slices)
    found = descend(
        linear, inputs, tv_weight=0, steps=5, step_size=0.02, first_steps=2, first_step_size=0.05
    )
    with torch.no_grad():
        one, two = (torch.eye(16) - size * linear.precision() for size in (0.05, 0.02))
    matrix = torch.linalg.matrix_power(one, 2) @ torch.linalg.matrix_power(two, 3)
    torch.testing.assert_close(found.flatten(1), inputs.flatten(1) @ matrix, atol=1e-5, rtol=0)


def test_gradients_of_pixels_are_clipped_tv_included(linear, slices):
    inputs = torch.from_numpy(slices)
    start = {"tv_weight": 0.3, "step_size": 0.1}
    moved = descend(linear, inputs, steps=1, **start)
    gradient = elbo_and_gradient(linear, moved)[1] + 0.3 * variation_gradient(moved - inputs)
    limit = float(gradient.abs().median())
    found = descend(linear, inputs, steps=2, largest_gradient=limit, **start)
    first = elbo_and_gradient(linear, inputs)[1].clamp(-limit, limit)
    after = inputs - 0.1 * first
    second = elbo_and_gradient(linear, after)[1] + 0.3 * variation_gradient(after - inputs)
    torch.testing.assert_close(found, after - 0.1 * second.clamp(-limit, limit))
    assert not torch.allclose(found, descend(linear, inputs, steps=2, **start))


def test_nothing_changes_outside_of_the_brain(linear, slices, brain):
    brain[:, :2] = False
    settings = {"tv_weight": 0.1, "steps": 20, "step_size": 0.01}
    found = detect("restoration", linear, slices, brain, brain_only=True, **settings)
    assert not found.map[~brain].any() and found.map[brain].any()
    np.testing.assert_array_equal(found.reconstruction[:, 0][~brain], slices[:, 0][~brain])
    usual = detect("restoration", linear, slices, brain, **settings)
    assert usual.map[~brain].any()


def test_the_weight_is_chosen_with_what_changes_in_the_brain(linear, slices, brain):
    class Store:
        def __len__(self):
            return len(slices)

        def batch(self, numbers):
            return Batch.of(slices[numbers], layers={"brain": brain[numbers].astype(np.int16)})

    brain[:, :, 1:] = False
    settings = {"steps": 10, "step_size": 0.01, "tv_candidates": [0.0, 0.1]}
    tables = [
        prepare(
            "restoration", linear, device=CPU, contrasts=["FLAIR"], brain_only=b, **settings
        ).tune(Store())[1]["table"]
        for b in (True, False)
    ]
    assert tables[0][0]["mean_change"] < 0.5 * tables[1][0]["mean_change"]
    own = detect("restoration", linear, slices, brain, brain_only=True, **NONE, **settings)
    np.testing.assert_allclose(tables[0][0]["mean_change"], np.abs(own.map).mean(), rtol=1e-4)


@pytest.mark.parametrize("name", ["first_step_size", "largest_gradient"])
def test_settings_are_checked(linear, slices, brain, name):
    with pytest.raises(ConfigError, match=f"{name}: found 0"):
        detect("restoration", linear, slices, brain, **{"tv_weight": 1, name: 0})


class Flat(torch.nn.Module):
    """A model that finds everything equally likely."""

    def elbo_loss(self, slices):
        return 0 * slices.flatten(1).sum(dim=1)


def test_the_variation_is_that_of_the_change_of_the_original_input():
    """A textured input stays as it is; a TV of the image would smooth it, one of the residual to a
    model's reconstruction would not hold on to it."""
    inputs = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    settings = {"tv_weight": 2.0, "steps": 50, "step_size": 1e-3}
    assert torch.equal(descend(Flat(), inputs, **settings), inputs)
    # Where a model changes it, the change becomes flat, and not the image.
    linear, steps = Linear(8, latent=3), {"steps": 300, "step_size": 0.002}
    free, held = (descend(linear, inputs, tv_weight=weight, **steps) for weight in (0.0, 0.3))
    assert (total_variation(held - inputs) < 0.3 * total_variation(free - inputs)).all()
    assert (total_variation(held) > 0.5 * total_variation(inputs)).all()
