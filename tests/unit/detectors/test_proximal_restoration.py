"""The faster solver of restorations: its proximal map, its steps, where it stops."""

import numpy as np
import pytest
import torch
from fake_models import CPU, Linear

from normscan.detectors import proximal_restoration
from normscan.detectors.inference import for_inference
from normscan.detectors.proximal_restoration import descend, tune
from normscan.detectors.restoration import descend as plain_descend
from normscan.detectors.restoration import objective
from normscan.detectors.variation import shrink_variation, total_variation
from normscan.errors import ConfigError
from normscan.models import vae

STEPS = {"time": 0.5, "first_step": 0.05, "shortest_step": 0.02, "inner_steps": 10}


def shrunk(images, weight, steps=200):
    images = torch.as_tensor(images, dtype=torch.float64)
    start = torch.zeros_like(images)
    weight = torch.full((len(images),), float(weight), dtype=torch.float64)
    return shrink_variation(images, weight, steps, start[..., 1:, :], start[..., 1:])[0]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(0.0, (1.0, 4.0)), (1.0, (2.0, 3.0)), (1.5, (2.5, 2.5)), (9, (2.5, 2.5))],
)
def test_two_pixels_move_towards_each_other_until_they_meet(weight, expected):
    for shape in ((1, 1, 1, 2), (1, 1, 2, 1)):
        found = shrunk(torch.tensor([1.0, 4.0]).reshape(shape), weight)
        torch.testing.assert_close(
            found.flatten(), torch.tensor(expected).double(), atol=1e-5, rtol=0
        )


def test_nothing_near_the_minimiser_is_better():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 2, 8, 8, generator=generator).double()

    def value(residual):
        square = 0.5 * (residual - images).square().flatten(1).sum(dim=1)
        return square + 0.3 * total_variation(residual)

    found = shrunk(images, 0.3, steps=2000)
    for _ in range(50):
        direction = torch.randn(images.shape, generator=generator).double()
        for step in (1e-1, 1e-3):
            assert (value(found) <= value(found + step * direction) + 1e-9).all()


def test_ten_steps_from_a_good_start_come_close():
    images = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    exact = shrunk(images, 0.05, steps=2000)
    assert (shrunk(images, 0.05, steps=10) - exact).abs().max() < 5e-3


def test_small_steps_follow_the_gradient_flow(linear, slices):
    """Of a quadratic, without TV: x(t) = exp(-A t) x(0)."""
    flow = {"time": 0.5, "first_step": 1e-3, "shortest_step": 1e-6, "inner_steps": 1}
    inputs = torch.from_numpy(slices)
    ready = for_inference(linear, CPU)
    found = descend(ready, inputs, tv_weight=0.0, **flow)
    with torch.no_grad():
        expected = inputs.flatten(1) @ torch.linalg.matrix_exp(-0.5 * linear.precision())
    torch.testing.assert_close(found.flatten(1), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.8])
def test_the_objective_is_not_above_that_of_the_published_loop(weight):
    torch.manual_seed(0)
    model = for_inference(vae.build(1, 16, latent=8, seed=1), CPU)
    inputs = torch.rand(4, 1, 16, 16)
    plain = plain_descend(model, inputs, tv_weight=weight, steps=500, step_size=1e-3)
    found = descend(model, inputs, tv_weight=weight, **STEPS)
    with torch.no_grad():
        ours, theirs = (objective(model, x, inputs, weight) for x in (found, plain))
        before = objective(model, inputs, inputs, weight)
    assert (ours <= before).all()
    assert (ours <= theirs * 1.01).all()


class Counting(Linear):
    """Remembers how many slices were computed."""

    def elbo_loss(self, slices):
        self.computed = getattr(self, "computed", 0) + len(slices)
        return super().elbo_loss(slices)


def test_few_evaluations_are_needed(slices):
    model = Counting().requires_grad_(False)
    descend(model, torch.from_numpy(slices), tv_weight=0.1, **STEPS)
    assert model.computed <= 15 * len(slices)


class Steep(Linear):
    """A narrow valley: long steps raise the objective."""

    def elbo_loss(self, slices):
        return 500 * super().elbo_loss(slices)


def test_steps_that_do_not_help_are_halved(slices):
    model = Steep().requires_grad_(False)
    inputs = torch.from_numpy(slices)
    settings = {**STEPS, "shortest_step": 1e-4}
    found = descend(model, inputs, tv_weight=0.0, **settings)
    assert (model.elbo_loss(found) < 0.05 * model.elbo_loss(inputs)).all()


def test_slices_do_not_influence_each_other(linear, slices):
    inputs = torch.from_numpy(slices)
    ready = for_inference(linear, CPU)
    together = descend(ready, inputs, tv_weight=0.2, **STEPS)
    alone = torch.cat([descend(ready, one[None], tv_weight=0.2, **STEPS) for one in inputs])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


class Store:
    def __init__(self, slices):
        self.slices = slices

    def __len__(self):
        return len(self.slices)

    def batch(self, numbers):
        return self.slices[numbers]


def test_the_weight_is_tuned_with_this_solver(linear, slices):
    settings, table = tune(linear, Store(slices), seed=0, device=CPU, tv_candidates=[0.0, 0.3, 5.0])
    changes = []
    for weight in (0.0, 0.3, 5.0):
        restored = descend(
            for_inference(linear, CPU), torch.from_numpy(slices), tv_weight=weight, **STEPS
        )
        changes.append(float((restored - torch.from_numpy(slices)).abs().mean()))
    np.testing.assert_allclose([row["mean_change"] for row in table], changes, rtol=1e-4)
    assert settings["tv_weight"] == [0.0, 0.3, 5.0][int(np.argmin(changes))]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"time": 0}, "time: found 0"),
        ({"shortest_step": 0}, "shortest_step: found 0"),
        ({"inner_steps": 0}, "inner_steps: found 0"),
        ({"tv_weight": "auto"}, "tv_weight: is 'auto'"),
    ],
)
def test_settings_are_checked(linear, slices, brain, settings, message):
    with pytest.raises(ConfigError, match=message):
        proximal_restoration.detect(
            linear, slices, brain, seed=0, device=CPU, **{"tv_weight": 1, **settings}
        )
