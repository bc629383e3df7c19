"""AnoGAN: its losses, its training step, its network."""

import pytest
import torch
from torch import nn

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.base import Updates
from normscan.models.parts.adversarial import discriminator_loss, generator_loss
from normscan.networks import registry as networks
from normscan.networks.folding import simplify_for_inference
from normscan.slices.batch import Batch


def made(**settings):
    return registry.build("anogan", (1, 1, 16), **{"latent": 4, **settings})


@pytest.fixture
def slices():
    return torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def discriminator():
    """Logits that can be read off: the first pixel."""
    return lambda slices: slices.flatten(1)[:, 0]


@pytest.mark.parametrize("label", [1.0, 0.9])
def test_losses_are_those_of_goodfellow(slices, discriminator, label):
    real, fake = slices[:3], slices[3:] - 0.5
    on_real, on_fake = (discriminator(one).sigmoid() for one in (real, fake))
    expected = -(label * on_real.log() + (1 - label) * (1 - on_real).log()).mean()
    expected = expected - (1 - on_fake).log().mean()
    torch.testing.assert_close(discriminator_loss(discriminator, real, fake, label), expected)
    torch.testing.assert_close(generator_loss(discriminator, fake), -on_fake.log().mean())


def test_no_gradient_of_the_discriminators_loss_reaches_the_slices(slices, discriminator):
    real, fake = (one.clone().requires_grad_() for one in slices.split(3))
    assert not discriminator_loss(discriminator, real, fake).requires_grad
    assert generator_loss(discriminator, fake).requires_grad


def test_losses_of_half_precision_are_computed_in_full(slices, discriminator):
    assert generator_loss(discriminator, slices.bfloat16()).dtype == torch.float32


def test_a_step_moves_both_parts_and_early_stopping_has_no_say(slices):
    model = made(gan_steps=7)
    optimisers = model.optimisers("gan")
    assert {name: one.defaults["betas"] for name, one in optimisers.items()} == {
        "discriminator": (0.5, 0.999),
        "generator": (0.5, 0.999),
    }
    before = {name: value.clone() for name, value in model.named_parameters()}
    model.training_mode("gan")
    losses = model.training_step("gan", Batch.of(slices), Updates(optimisers))
    assert set(losses) == {"discriminator", "generator"}
    moved = {name for name, value in model.named_parameters() if not value.equal(before[name])}
    assert {name.split(".")[0] for name in moved} == {"decoder", "critic"}
    assert model.limits("gan") == {"max_steps": 7}
    assert model.validation_loss("gan", Batch.of(slices)) is None


def test_the_generator_learns_to_convince(slices):
    """Against a discriminator that stands still, only its own loss moves the generator."""
    torch.manual_seed(0)
    model = made(learning_rate=2e-3)
    optimisers = model.optimisers("gan")
    optimisers["discriminator"] = torch.optim.SGD(model.critic.parameters(), 0.0)
    update = Updates(optimisers)
    model.training_mode("gan")
    losses = [
        model.training_step("gan", Batch.of(slices), update)["generator"].item() for _ in range(30)
    ]
    assert losses[-1] < 0.5 * losses[0]


def test_codes_are_uniform_and_follow_their_generator():
    model = made()
    one, again, other = (
        model.draw_codes(5000, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert one.equal(again) and not one.equal(other)
    assert one.shape == (5000, 4) and one.abs().max() <= 1
    assert one.mean().item() == pytest.approx(0, abs=0.02)
    assert one.var().item() == pytest.approx(1 / 3, abs=0.02)


def test_the_networks_dropout_is_for_codes_of_slices(slices):
    model = made().train()
    assert {m.p for m in model.decoder.modules() if isinstance(m, nn.Dropout)} == {0.0}


@pytest.mark.parametrize("network", networks.having({"decoder", "discriminator"}))
@pytest.mark.parametrize(("size", "contrasts"), [(16, 1), (32, 3)])
def test_networks_draw_and_judge(network, size, contrasts):
    model = registry.build("anogan", (contrasts,) * 2 + (size,), network=network, latent=4)
    generated = model.generate(torch.rand(3, 4))
    assert generated.shape == (3, contrasts, size, size)
    assert model.critic(generated).shape == (3,)
    # Batch norms are at rest in a trained model: each slice is seen on its own.
    seen = model.eval().discriminator_features(generated)
    torch.testing.assert_close(seen[:1], model.discriminator_features(generated[:1]))


def test_the_published_network():
    module = networks.load("schlegl2017")
    generator = module.make_decoder(1, 64, 100, "dense")
    discriminator = module.make_discriminator(1, 64)
    up = [m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    down = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [m.in_channels for m in up] == [512, 256, 128, 64]
    assert [m.out_channels for m in down] == [64, 128, 256, 512]
    assert {m.kernel_size for m in [*up, *down]} == {(5, 5)}
    assert generator.shape == (512, 4, 4)
    assert up[0].weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert networks.describe("schlegl2017")["bottlenecks"] == []


@pytest.mark.parametrize("size", [8, 24, 0])
def test_sizes_that_it_cannot_take_are_named(size):
    module = networks.load("schlegl2017")
    with pytest.raises(ConfigError, match=f"slices.size: found {size}.*multiples of 16"):
        module.make_decoder(1, size, 4, "dense")
    with pytest.raises(ConfigError, match=f"slices.size: found {size}.*multiples of 16"):
        module.make_discriminator(1, size)


def test_its_folded_form_has_the_same_outputs_and_gradients(slices):
    model = made(network="schlegl2017").double()
    model.train().critic(model.generate(torch.rand(4, 4).double()))
    model.eval()
    found = []
    for one in (model, simplify_for_inference(model)):
        code = torch.linspace(-1, 1, 8).double().view(2, 4).requires_grad_()
        seen = one.discriminator_features(one.generate(code))
        (gradient,) = torch.autograd.grad(seen.square().sum(), code)
        found.append((seen.detach(), gradient))
    torch.testing.assert_close(found[1], found[0])


def test_networks_without_a_discriminator_are_refused():
    settings = {**registry.describe("anogan")["settings"], "network": "chen2018"}
    (problem,) = registry.network_problems("anogan", settings, "models.m")
    assert "no discriminator" in problem and "schlegl2017, unified" in problem


def test_f_anogan_is_not_made_of_a_network_for_anogan():
    """Its critic must judge each slice on its own, which batch norms do not."""
    settings = {**registry.describe("fanogan")["settings"], "network": "schlegl2017"}
    assert any("no critic" in one for one in registry.network_problems("fanogan", settings, "m"))
