"""Prior of codes: what a place sees, probabilities against enumeration, drawing one by one."""

from itertools import product

import numpy as np
import pytest
import torch
from made_codes import given_prior, made_prior
from scipy.stats import chisquare

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.code_prior import draw
from normscan.plugins import complete_settings
from normscan.slices.batch import Batch
from normscan.training.loop import train

INF = float("inf")


def random_codes(count, codes, side, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(codes, (count, side, side), generator=generator)


def random_uniforms(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def every_map(codes, side):
    """All maps there are (codes^(side^2), side, side)."""
    found = torch.tensor(list(product(range(codes), repeat=side**2)))
    return found.view(-1, side, side)


def place_by_place(model, codes, thresholds, uniforms):
    """What :meth:`resample_codes` shortens: every place is asked for in turn."""
    found = codes.clone()
    for row, column in np.ndindex(*codes.shape[1:]):
        logits = model._logits(found)[:, :, row, column]
        own = found[:, row, column]
        surprise = -logits.log_softmax(dim=1)[range(len(own)), own]
        drawn = draw(logits, uniforms[:, row, column])
        found[:, row, column] = torch.where(surprise > thresholds[:, row, column], drawn, own)
    return found


@torch.no_grad()
def test_a_code_changes_the_probabilities_of_later_ones_only():
    model, side = made_prior(5, side=4, size=8, depth=4), 4
    codes = random_codes(1, 5, side)
    before = model._logits(codes).flatten(2)
    for place in range(side**2):
        changed = codes.flatten().clone()
        changed[place] = (changed[place] + 1) % 5
        after = model._logits(changed.view(1, side, side)).flatten(2)
        moved = (after - before).abs().amax(dim=(0, 1))
        assert not moved[: place + 1].any()
        # As deep as the map is high, every place sees all that is before it.
        assert (moved[place + 1 :] > 0).all()


@torch.no_grad()
def test_a_shallow_prior_sees_few_rows_above():
    model, codes = made_prior(5, side=4, size=8, depth=1), random_codes(1, 5, 4)
    other = codes.clone()
    other[0, 0] = (other[0, 0] + 1) % 5
    moved = (model._logits(other) - model._logits(codes)).abs().amax(dim=(0, 1, 3))
    assert moved[1] > 0 and moved[2] > 0 and not moved[3:].any()


@torch.no_grad()
def test_one_pass_is_the_product_of_the_conditionals():
    model, codes = made_prior(5, side=3, size=6), random_codes(7, 5, 3)
    found = model.code_surprise(codes).flatten(1)
    for place in range(9):
        known = codes.flatten(1).clone()
        known[:, place:] = 0
        logits = model._logits(known.view(-1, 3, 3)).flatten(2)[:, :, place]
        likely = logits.softmax(dim=1)[range(7), codes.flatten(1)[:, place]]
        torch.testing.assert_close(found[:, place], -likely.log())


@torch.no_grad()
@pytest.mark.parametrize("codes", [2, 3])
def test_probabilities_of_all_maps_add_up_to_one(codes):
    likely = (-made_prior(codes).double().code_surprise(every_map(codes, 2)).sum((1, 2))).exp()
    assert likely.sum().item() == pytest.approx(1, abs=1e-10)
    assert likely.max() > 2 * likely.min()


@torch.no_grad()
def test_maps_are_drawn_as_often_as_they_are_likely():
    model, count = made_prior(2), 20000
    likely = (-model.code_surprise(every_map(2, 2)).sum(dim=(1, 2))).exp()
    uniforms = random_uniforms(count, 2, 2)
    drawn = model.resample_codes(random_codes(count, 2, 2), torch.full((1, 1, 1), -INF), uniforms)
    numbers = drawn.flatten(1) @ torch.tensor([8, 4, 2, 1])
    counts = numbers.bincount(minlength=16).numpy()
    expected = likely.double().numpy() / likely.double().sum().item()
    assert chisquare(counts, count * expected).pvalue > 1e-3


@torch.no_grad()
def test_drawing_skips_to_the_next_surprising_code_and_agrees_with_every_place_in_turn():
    model, codes = made_prior(5, side=4, size=8), random_codes(50, 5, 4)
    uniforms = random_uniforms(50, 4, 4)
    thresholds = model.code_surprise(codes).quantile(0.8).expand(50, 4, 4)
    found = model.resample_codes(codes, thresholds, uniforms)
    assert torch.equal(found, place_by_place(model, codes, thresholds, uniforms))
    assert not torch.equal(found, codes)


@torch.no_grad()
def test_only_what_is_asked_for_is_drawn():
    model, codes = made_prior(5, side=4, size=8), random_codes(40, 5, 4)
    asked = random_uniforms(40, 4, 4, seed=1) < 0.3
    thresholds = torch.where(asked, -INF, INF)
    before = codes.clone()
    found = model.resample_codes(codes, thresholds, random_uniforms(40, 4, 4))
    assert torch.equal(codes, before)
    changed = found != codes
    assert changed.any() and not changed[~asked].any()
    nothing = model.resample_codes(codes, torch.full((1, 1, 1), INF), random_uniforms(40, 4, 4))
    assert torch.equal(nothing, codes)


def test_as_many_passes_as_the_map_with_most_codes_to_draw():
    model = given_prior([0.5, 0.3, 0.15, 0.05], side=4, size=8)
    codes = torch.zeros(3, 4, 4, dtype=torch.long)
    codes[1, 2, 1] = codes[2, 0, 0] = codes[2, 3, 3] = 3
    model.resample_codes(codes, torch.full((1, 1, 1), 2.0), random_uniforms(3, 4, 4))
    # One for each of two codes, and one that finds no more.
    assert model.pixels.passes == 3


def test_codes_are_drawn_by_inverting_their_distribution():
    probabilities = torch.tensor([0.2, 0.0, 0.5, 0.3])
    uniforms = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 1 - 2**-24])
    found = draw(probabilities.log().expand(6, 4), uniforms)
    assert found.tolist() == [0, 0, 2, 2, 3, 3]


@torch.no_grad()
@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24, 1.0])
def test_no_code_is_drawn_that_does_not_exist(uniform):
    model = made_prior(5, side=3, size=6)
    uniforms = torch.full((20, 3, 3), uniform)
    found = model.resample_codes(random_codes(20, 5, 3), torch.full((1, 1, 1), -INF), uniforms)
    assert found.min() >= 0 and found.max() < 5 and found.dtype == torch.int64


def test_what_it_learns_is_how_often_codes_follow_each_other():
    """Maps of four blocks that are all equal: after the first code the others are certain."""
    levels = torch.randint(3, (96,), generator=torch.Generator().manual_seed(0)) / 2
    slices = levels.view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
    store = Store(slices.numpy())
    model = made_prior(3, spread=None, dropout=0.0, learning_rate=2e-2)
    coder = {name: value.clone() for name, value in model.used("coder").state_dict().items()}
    train(model, store, store, seed=1, batch_size=16, max_epochs=25)
    with torch.no_grad():
        found = model.code_surprise(model.code_maps(slices)).mean(dim=0).flatten()
    counts = levels.mul(2).long().bincount() / 96
    entropy = -(counts * counts.log()).sum()
    assert found[0].item() == pytest.approx(entropy.item(), abs=0.03)
    assert (found[1:] < 0.05).all()
    assert all(torch.equal(v, coder[n]) for n, v in model.used("coder").state_dict().items())


class Store:
    """Slices with the interface of a SliceStore."""

    nbytes = 0

    def __init__(self, slices):
        self.slices = slices

    def __len__(self):
        return len(self.slices)

    def batch(self, numbers):
        return Batch.of(self.slices[numbers])


def test_it_needs_a_coder():
    with pytest.raises(ConfigError, match="uses: family code_prior needs a model for coder"):
        registry.build("code_prior", (1, 1, 16))


def test_impossible_settings_are_refused_when_planning():
    module = registry.load("code_prior")
    given = {"width": 0, "depth": 0, "dropout": 1.0}
    problems = complete_settings(given, module.SETTINGS, module.ALLOWED, "models.m")[1]
    assert [problem.split(": found")[0] for problem in problems] == [
        f"models.m.{name}" for name in given
    ]
