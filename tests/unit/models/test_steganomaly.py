"""The cycle to a simulated domain and back, and what its filter lets through."""

import pytest
import torch
from made_brains import HeldBatch, made_brains

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.base import Updates
from normscan.slices.batch import Batch
from normscan.slices.batches import mapped
from normscan.training.loop import train

SMALL = {"depth": 1, "width": 4, "gan_steps": 8, "pool_size": 6}


def made(**settings):
    return registry.build("steganomaly", (1, 1, 16), seed=1, **(SMALL | settings)).eval()


def brains(**options):
    """FLAIR slices with tissue maps."""
    slices, layers = made_brains(**options)
    tissue = layers["brain"] * (1 + (slices[:, 1] > 0.5) + (slices[:, 1] > 0.8))
    return Batch.of(slices[:, 1:], layers={"tissue": tissue.astype("int16")})


def batch():
    return mapped(brains(count=8), torch.from_numpy)


@pytest.fixture
def checkers():
    """A pattern of the highest frequency."""
    return torch.tensor([1.0, -1.0]).repeat(8) * torch.tensor([1.0, -1.0]).repeat(8)[:, None]


def test_the_reconstruction_is_the_whole_cycle():
    model, slices = made(low_pass=0), torch.rand(2, 1, 16, 16)
    expected = model.to_real(model.to_simulated(slices))
    assert torch.equal(model.reconstruct(slices), expected)
    assert not torch.allclose(made(low_pass=1.5).reconstruct(slices), expected)


@torch.no_grad()
def test_a_pattern_of_high_frequency_does_not_pass_the_filter(checkers):
    """Against the same networks without it."""
    simulated = torch.nn.functional.avg_pool2d(torch.rand(2, 1, 20, 20), 5, 1)
    changes = {}
    for low_pass in (0, 1.5):
        model = made(low_pass=low_pass)
        clean = model.back(simulated)
        changes[low_pass] = (model.back(simulated + 0.1 * checkers) - clean).std() / clean.std()
    assert changes[0] > 0.1 and changes[1.5] < 1e-3 * changes[0]


@pytest.mark.parametrize(("low_pass", "hidden"), [(0, True), (1.5, False)])
def test_what_is_hidden_in_it_can_be_learnt_without_the_filter_only(checkers, low_pass, hidden):
    """Faint checkers say which of two equal slices it was."""
    model = made(low_pass=low_pass)
    sign = torch.tensor([1.0, -1.0] * 4).view(-1, 1, 1, 1)
    simulated = batch().slices[:1] + 0.02 * sign * checkers
    learn = torch.optim.Adam(model.to_real.parameters(), 1e-2)
    for _ in range(40):
        error = (model.back(simulated) - sign).abs().mean()
        learn.zero_grad()
        error.backward()
        learn.step()
    assert (error < 0.3) if hidden else (error > 0.9)


def test_a_step_moves_generators_and_critics_each_by_their_own_loss():
    model, one = made(identity_weight=5.0), batch()
    model.start_phase("main", lambda: iter([one]))
    update = Updates(model.optimisers("main"))
    update.step = 6
    before = {name: value.clone() for name, value in model.named_parameters()}
    losses = model.training_step("main", one, update)
    adversarial, cycle = losses["adversarial"], losses["cycle"]
    torch.testing.assert_close(losses["loss"], adversarial + 10 * cycle + 5 * losses["identity"])
    assert losses["reconstruction"] < cycle
    moved = {
        name.split(".")[0] for name, now in model.named_parameters() if (now != before[name]).any()
    }
    assert moved == {"to_simulated", "to_real", "simulated_critic", "real_critic"}
    # The seventh of eight steps.
    rates = [o.param_groups[0]["lr"] for o in update.optimisers.values()]
    assert (
        rates == [0.5 * 2e-4] * 2
        and [o.defaults["betas"] for o in update.optimisers.values()] == [(0.5, 0.999)] * 2
    )


def test_the_trained_model_holds_no_image():
    model = made()
    history = train(
        model, HeldBatch(brains(count=12)), HeldBatch(brains(count=4)), seed=1, batch_size=4
    )
    assert [row["validation"] for row in history] == [None] * 3
    assert set(history[0]) > {"adversarial", "critics", "cycle", "reconstruction"}
    assert not len(model.simulated_pool.images) and not len(model.real_pool.images)
    assert (model.levels[0, 1:] > 0).all() and model.simulated_pool.seen == 32


@pytest.mark.parametrize("low_pass", [4, 100])
def test_a_filter_wider_than_the_slices_is_refused(low_pass):
    with pytest.raises(ConfigError, match=f"low_pass: found {low_pass}; .* 16 pixels"):
        made(low_pass=low_pass)
