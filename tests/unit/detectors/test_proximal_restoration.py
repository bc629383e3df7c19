"""The faster solver of restorations: its proximal map, its steps, where it stops."""

import numpy as np
import pytest
import torch
from fake_models import CPU, detect
from torch import nn

from normscan.detectors.inference import for_inference
from normscan.detectors.proximal_restoration import SETTINGS, descend
from normscan.detectors.registry import prepare
from normscan.detectors.restoration import descend as plain_descend
from normscan.detectors.restoration import objective
from normscan.detectors.variation import (
    ACCURACY,
    shrink_variation,
    shrink_variation_well,
    total_variation,
)
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.slices.batch import Batch

NAMES = ("time", "long_step", "short_step", "most_evaluations", "inner_steps")
STEPS = {name: SETTINGS[name] for name in NAMES}


def shrunk(images, centre, length, weight, steps=3000):
    images, centre = (torch.as_tensor(one, dtype=torch.float64) for one in (images, centre))
    zeros = torch.zeros_like(images)
    length = torch.full((len(images),), float(length), dtype=torch.float64)
    dual = (zeros[..., 1:, :], zeros[..., 1:])
    return shrink_variation(images, centre, length, weight, steps, dual)[0]


@pytest.mark.parametrize(
    ("weight", "expected"),
    [(0.0, [1.0, 4.0]), (1.0, [2.0, 3.0]), (1.5, [2.5, 2.5]), (9.0, [2.5, 2.5])],
)
def test_two_pixels_move_towards_each_other_until_they_meet(weight, expected):
    """The centre lies far below both: its pull is 1 for each."""
    for shape in ((1, 1, 1, 2), (1, 1, 2, 1)):
        images = torch.tensor([2.0, 5.0]).reshape(shape)
        found = shrunk(images, torch.full(shape, -50.0), 1.0, weight)
        np.testing.assert_allclose(found.flatten(), expected, atol=1e-5)


@pytest.mark.parametrize("length", [0.1, 1.0, 10.0])
def test_without_tv_pixels_move_to_their_centre_and_stop_there(length):
    images = torch.tensor([[3.0, -2.0, 0.5, 0.0]]).reshape(1, 1, 2, 2)
    centre = torch.tensor([[0.0, 0.0, 0.4, 7.0]]).reshape(1, 1, 2, 2)
    away = (centre - images).numpy()
    expected = images.numpy() + np.clip(away, -length, length)
    np.testing.assert_allclose(shrunk(images, centre, length, 0.0), expected, atol=1e-5)


def test_nothing_near_the_minimiser_is_better():
    generator = torch.Generator().manual_seed(0)
    images, centre = (torch.randn(3, 2, 8, 8, generator=generator).double() for _ in range(2))

    def value(residual):
        square = (residual - images).square() / (2 * 0.7)
        near = (residual - centre).abs()
        return (square + near).flatten(1).sum(dim=1) + 0.3 * total_variation(residual)

    found = shrunk(images, centre, 0.7, 0.3, steps=5000)
    for _ in range(50):
        direction = torch.randn(images.shape, generator=generator).double()
        for step in (1e-1, 1e-3):
            assert (value(found) <= value(found + step * direction) + 1e-6).all()


class Anchored(nn.Module):
    """Expects one image whatever it sees."""

    def __init__(self, expected, stiffness=0.0):
        super().__init__()
        self.register_buffer("expected", torch.as_tensor(expected))
        self.stiffness, self.computed = stiffness, 0

    def elbo_parts(self, slices):
        self.computed += len(slices)
        rest = 0.5 * self.stiffness * slices.square().flatten(1).sum(dim=1)
        return self.expected.expand_as(slices), rest


def test_the_descent_lasts_for_its_time():
    """Without TV each pixel goes to what is expected at speed 1, and stays there."""
    inputs = torch.rand(3, 1, 8, 8)
    expected = torch.rand(1, 8, 8) * 2
    for time in (0.1, 0.5, 3.0):
        found = descend(Anchored(expected), inputs, tv_weight=0.0, **{**STEPS, "time": time})
        away = (expected - inputs).clamp(-time, time)
        torch.testing.assert_close(found, inputs + away, atol=5e-3, rtol=0)


def test_few_evaluations_are_needed():
    model = Anchored(torch.zeros(1, 8, 8))
    descend(model, torch.rand(5, 1, 8, 8), tv_weight=0.5, **STEPS)
    assert model.computed <= 13 * 5


@pytest.mark.parametrize(
    ("stiffness", "nearest", "evaluations"),
    [
        # The first look, a refused step, and 0.5 = 125 short steps with momentum.
        (100.0, 0.05, 32),
        # Above 2 / stiffness short steps lead further and further away: halved four times.
        (4000.0, 0.01, 250),
    ],
)
def test_narrow_valleys_are_descended_in_shorter_steps(stiffness, nearest, evaluations):
    """Long steps go too far there and raise the objective."""
    model = Anchored(torch.zeros(1, 8, 8), stiffness)
    found = descend(model, torch.rand(4, 1, 8, 8), tv_weight=0.0, **STEPS)
    assert found.abs().max() < nearest
    assert model.computed <= evaluations * 4


@pytest.mark.parametrize(("stiffness", "most"), [(2e5, 200), (2e5, 20)])
def test_evaluations_of_a_slice_are_bounded(stiffness, most, caplog):
    """Where short steps must be halved again and again, a slice ends at its best, and says so."""
    model = Anchored(torch.zeros(1, 8, 8), stiffness)
    inputs = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with caplog.at_level("INFO", logger="normscan"):
        found = descend(model, inputs, tv_weight=0.1, **{**STEPS, "most_evaluations": most})
    assert model.computed == most * 4
    assert f"4 of 4 slices ended after {most} evaluations" in caplog.text
    with torch.no_grad():
        before, after = (value(model, x, inputs, 0.1) for x in (inputs, found))
    assert found.isfinite().all() and (after < before).all()


def value(model, images, inputs, weight):
    expected, rest = model.elbo_parts(images)
    near = (images - expected).abs().flatten(1).sum(dim=1)
    return near + rest + weight * total_variation(images - inputs)


def test_an_easy_slice_is_not_held_up_by_a_stiff_one():
    """Its steps are as many and end in the same place, whoever is in the batch."""
    stiff = torch.tensor([1e5, 0.0]).view(2, 1)

    class Model(Anchored):
        def elbo_parts(self, slices):
            expected, _ = super().elbo_parts(slices)
            weight = stiff if len(slices) == 2 else stiff[int(slices.mean() < 0.5) :][:1]
            return expected, 0.5 * (weight * slices.square().flatten(1)).sum(dim=1)

    inputs = torch.stack([torch.full((1, 8, 8), 0.6), torch.full((1, 8, 8), 0.2)])
    found = descend(Model(torch.zeros(1, 8, 8)), inputs, tv_weight=0.0, **STEPS)
    torch.testing.assert_close(found[1], torch.zeros(1, 8, 8), atol=5e-3, rtol=0)


@pytest.mark.parametrize("weight", [3.6, 14.4])
def test_a_heavy_variation_costs_no_more_evaluations(weight):
    """A step that is not solved well enough leads upwards, however short it is."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.zeros(3, 1, 32, 32)
    model = Anchored(0.01 * torch.randn(1, 32, 32, generator=generator), stiffness=20.0)
    found = descend(model, inputs, tv_weight=weight, **STEPS)
    assert model.computed <= 33 * 3
    with torch.no_grad():
        before, after = (value(model, x, inputs, weight) for x in (inputs, found))
    assert (after <= before).all()


def test_the_proximal_map_is_solved_to_its_accuracy():
    """The duality gap that is left, whatever the weight; a slice's own number of steps."""
    generator = torch.Generator().manual_seed(0)
    images, centre = (torch.randn(4, 1, 24, 24, generator=generator).double() for _ in range(2))
    zeros = torch.zeros_like(images)
    dual = (zeros[..., 1:, :], zeros[..., 1:])
    length = torch.tensor([0.05, 0.2, 0.004, 0.05], dtype=torch.float64)
    for weight in (0.0, 0.3, 1.8):
        exact = shrink_variation(images, centre, length, weight, 4000, dual)[0]
        found = shrink_variation_well(images, centre, length, weight, 10, dual)[0]
        least, ours = (minimised(r, images, centre, length, weight) for r in (exact, found))
        kept = weight * total_variation(found) + (found - centre).abs().flatten(1).sum(dim=1)
        assert (ours >= least - 1e-6).all()
        assert (ours - least <= ACCURACY * kept).all()
        for row in range(4):
            own = tuple(one[[row]] for one in (images, centre, length))
            alone, _ = shrink_variation_well(*own, weight, 10, tuple(d[[row]] for d in dual))
            torch.testing.assert_close(found[[row]], alone)


def minimised(residual, images, centre, length, weight):
    square = (residual - images).square().flatten(1).sum(dim=1) / (2 * length)
    near = (residual - centre).abs().flatten(1).sum(dim=1)
    return square + near + weight * total_variation(residual)


class Hopeless(Anchored):
    """Whose gradient points upwards."""

    def elbo_parts(self, slices):
        expected, _ = super().elbo_parts(slices)
        value = 50 * slices.square().flatten(1).sum(dim=1)
        return expected, 2 * value.detach() - value


class Broken(Anchored):
    """Whose objective is not a number."""

    def elbo_parts(self, slices):
        expected, rest = super().elbo_parts(slices)
        return expected, rest * torch.nan


@pytest.mark.parametrize("kind", [Hopeless, Broken])
def test_what_cannot_be_descended_is_no_result(kind, slices, brain):
    model = kind(torch.zeros(1, *slices.shape[2:]))
    with pytest.raises(ConfigError, match="slices 0 to .* diverged; choose smaller steps"):
        detect("proximal_restoration", model, slices, brain, tv_weight=0)
    assert model.computed <= 14 * len(slices)


@pytest.mark.parametrize("time", [0.004, 0.05, 0.051, 0.2, 0.5])
def test_momentum_goes_no_further_than_the_time(time):
    """One pixel is stiff; the others go to what is expected, which is far away, at speed 1."""
    stiff = torch.zeros(1, 8, 8)
    stiff[0, 0, 0] = 200.0

    class Model(Anchored):
        def elbo_parts(self, slices):
            expected, _ = super().elbo_parts(slices)
            return expected, 0.5 * (stiff * slices.square()).flatten(1).sum(dim=1)

    inputs = torch.rand(2, 1, 8, 8)
    inputs[0, 0, 0, 0] = 1.0
    inputs[1, 0, 0, 0] = 0.0
    model = Model(torch.full((1, 8, 8), 5.0))
    found = descend(model, inputs, tv_weight=0.0, **{**STEPS, "time": time})
    free = (stiff == 0).expand_as(inputs)
    torch.testing.assert_close(found[free], inputs[free] + time, atol=2e-3, rtol=0)
    # Both at the minimum of the stiff pixel, whose slices went there by many and by few steps.
    assert found[:, 0, 0, 0].max() < 0.3


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.8])
def test_the_objective_is_not_above_that_of_the_published_loop(weight):
    torch.manual_seed(0)
    model = for_inference(registry.build("vae", (1, 1, 16), latent=8, seed=1), CPU)
    inputs = torch.rand(4, 1, 16, 16)
    plain = plain_descend(model, inputs, tv_weight=weight, steps=500, step_size=1e-3)
    # Equal times; steps of noise under an untrained network hardly jitter.
    found = descend(model, inputs, tv_weight=weight, **{**STEPS, "time": 0.5})
    with torch.no_grad():
        ours, theirs = (objective(model, x, inputs, weight) for x in (found, plain))
        before = objective(model, inputs, inputs, weight)
    assert (ours <= before).all()
    assert (ours <= theirs * 1.03).all()


def test_slices_do_not_influence_each_other():
    inputs = torch.rand(5, 1, 16, 16)
    model = for_inference(registry.build("vae", (1, 1, 16), latent=8, seed=1), CPU)
    together = descend(model, inputs, tv_weight=0.2, **STEPS)
    alone = torch.cat([descend(model, one[None], tv_weight=0.2, **STEPS) for one in inputs])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=0)


class Store:
    def __init__(self, slices):
        self.slices = slices

    def __len__(self):
        return len(self.slices)

    def batch(self, numbers):
        return Batch.of(self.slices[numbers])


def test_the_weight_is_tuned_with_this_solver(linear, slices):
    candidates = [0.0, 0.3, 5.0]
    ready = prepare(
        "proximal_restoration",
        linear,
        device=CPU,
        contrasts=["FLAIR"],
        tv_candidates=candidates,
    )
    settings, record = ready.tune(Store(slices))
    table, changes = record["table"][:3], []
    for weight in candidates:
        restored = descend(
            for_inference(linear, CPU), torch.from_numpy(slices), tv_weight=weight, **STEPS
        )
        changes.append(float((restored - torch.from_numpy(slices)).abs().mean()))
    np.testing.assert_allclose([row["mean_change"] for row in table], changes, rtol=1e-4)
    assert settings["tv_weight"] == [0.0, 0.3, 5.0][int(np.argmin(changes))]
    assert record["how"] == "interior minimum"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"time": 0}, "time: found 0"),
        ({"short_step": 0}, "short_step: found 0"),
        ({"inner_steps": 0}, "inner_steps: found 0"),
        ({"most_evaluations": 1}, "most_evaluations: found 1"),
        ({"tv_weight": "auto"}, "tv_weight: is 'auto'"),
    ],
)
def test_settings_are_checked(linear, slices, brain, settings, message):
    with pytest.raises(ConfigError, match=message):
        detect("proximal_restoration", linear, slices, brain, **{"tv_weight": 1, **settings})
