"""The comparative study's other families: their losses against what they are defined as."""

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.base import Updates
from normscan.models.parts.adversarial import critic_losses, gradient_penalty
from normscan.models.parts.gaussian import kl_to_standard
from normscan.models.parts.masking import paint_squares
from normscan.slices.batch import Batch


def made(family, **settings):
    return registry.build(family, (1, 1, 16), **{"latent": 8, **settings}).eval()


@pytest.fixture
def slices():
    return torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def errors(slices, expected):
    return (slices - expected).abs().sum(dim=(1, 2, 3))


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


# Painted squares


def test_squares_are_painted_inside_the_range_of_the_slice():
    torch.manual_seed(0)
    slices = torch.rand(50, 2, 32, 32) + torch.arange(50).view(-1, 1, 1, 1)
    painted = paint_squares(slices, 3, 0.5)
    differ = painted != slices
    # All contrasts of a slice at the same places.
    assert torch.equal(differ[:, 0], differ[:, 1])
    assert 0.05 < differ.float().mean() < 0.4
    assert (painted.amin((1, 2, 3)) >= slices.amin((1, 2, 3))).all()
    assert (painted.amax((1, 2, 3)) <= slices.amax((1, 2, 3))).all()


def test_no_square_is_larger_than_allowed():
    torch.manual_seed(0)
    differ = paint_squares(torch.rand(200, 1, 32, 32), 1, 0.25) != torch.rand(())
    painted = paint_squares(torch.zeros(1, 1, 8, 8), 3, 0.5)
    assert differ.any() and painted.shape == (1, 1, 8, 8)
    slices = torch.rand(200, 1, 32, 32)
    differ = (paint_squares(slices, 1, 0.25) != slices)[:, 0]
    assert differ.any(dim=2).sum(dim=1).max() <= 8 and differ.any(dim=1).sum(dim=1).max() <= 8


def test_a_context_ae_is_compared_with_the_slice_before_painting(slices):
    model = made("context_ae")
    torch.manual_seed(3)
    loss = model.losses(Batch.of(slices))["loss"]
    torch.manual_seed(3)
    painted = paint_squares(slices, 3, 0.5)
    torch.testing.assert_close(loss, errors(slices, model.reconstruct(painted)).mean())
    assert made("context_ae", squares=1, largest_square=0.0).losses(Batch.of(slices))["loss"] > 0


def test_a_context_vae_adds_the_branch_without_divergence(slices):
    model = made("context_vae", context_weight=2.0)
    torch.manual_seed(3)
    found = model.losses(Batch.of(slices))
    torch.manual_seed(3)
    plain = type(model).__mro__[1].losses(model, Batch.of(slices))
    painted = paint_squares(slices, 3, 0.5)
    context = errors(slices, model.reconstruct(painted)).mean()
    torch.testing.assert_close(found["loss"], plain["loss"] + 2 * context)


# Code constraint


def test_a_constrained_ae_compares_codes(slices):
    model = made("constrained_ae", code_weight=3.0)
    found = model.losses(Batch.of(slices))
    code = model.encoder(slices)[0]
    expected = model.decoder(code)
    distance = (model.encoder(expected)[0] - code).square().sum(dim=1).mean()
    torch.testing.assert_close(found["code"], distance)
    torch.testing.assert_close(found["loss"], errors(slices, expected).mean() + 3 * distance)


# GMVAE


@pytest.mark.parametrize("bottleneck", ["dense", "spatial"])
def test_one_standard_cluster_is_a_vae(slices, bottleneck):
    model = made("gmvae", clusters=1, cluster_floor=0.0, bottleneck=bottleneck)
    for layer in model.prior.layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
    codes = model.encoder(slices)
    parts = model.divergences(codes, codes[0], codes[2])
    torch.testing.assert_close(parts["z"], kl_to_standard(*codes[:2]))
    torch.testing.assert_close(parts["w"], kl_to_standard(*codes[2:]))
    torch.testing.assert_close(parts["cluster"], torch.zeros(5))


def test_divergences_of_a_mixture_agree_with_torch_distributions(slices):
    model = made("gmvae", clusters=3, cluster_floor=0.0).double()
    codes = model.encoder(slices.double())
    codes = tuple(code + torch.randn_like(code) for code in codes)
    z, w = torch.randn(5, 8).double(), torch.randn(5, 8).double()
    parts = model.divergences(codes, z, w)
    mean, log_variance = (one[..., 0, 0] for one in model.prior(w[..., None, None]))
    clusters = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    share = torch.softmax(clusters.log_prob(z[:, None]), dim=1)
    posterior = Independent(Normal(codes[0][:, None], (0.5 * codes[1][:, None]).exp()), 1)
    expected = (share * kl_divergence(posterior, clusters)).sum(dim=1)
    torch.testing.assert_close(parts["z"], expected)
    torch.testing.assert_close(parts["cluster"], (share * (share * 3).log()).sum(dim=1))


def test_clusters_are_not_pushed_below_the_floor(slices):
    dense = made("gmvae", cluster_floor=1.0)
    codes = dense.encoder(slices)
    assert (dense.divergences(codes, codes[0], codes[2])["cluster"] >= 1).all()
    spatial = made("gmvae", cluster_floor=1.0, bottleneck="spatial")
    codes = spatial.encoder(slices)
    assert (spatial.divergences(codes, codes[0], codes[2])["cluster"] >= 64).all()


@pytest.mark.parametrize("family", ["gmvae", "context_vae", "anovaegan"])
def test_elbo_is_the_error_plus_divergences_and_differentiable(slices, family):
    model = made(family).double()
    slices = slices.double().requires_grad_()
    found = model.elbo_loss(slices)
    assert found.shape == (5,) and (found > errors(slices, model.reconstruct(slices))).all()
    (gradient,) = torch.autograd.grad(found.sum(), slices)
    direction = torch.randn(slices.shape, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        ahead, behind = (model.elbo_loss(slices + s * direction).sum() for s in (1e-6, -1e-6))
    torch.testing.assert_close(
        (gradient * direction).sum(), (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-4
    )


# Adversarial losses


class Slope(nn.Module):
    """A critic with a known gradient."""

    def __init__(self, *norms):
        super().__init__()
        self.norms = nn.Parameter(torch.tensor(norms))

    def forward(self, slices):
        weight = self.norms[:, None] * torch.full((1, slices[0].numel()), slices[0].numel() ** -0.5)
        return (slices.flatten(1) * weight).sum(dim=1)


def test_the_penalty_is_on_the_norm_of_each_sample():
    """Norms 1 and 3: (1 - 1)^2 and (3 - 1)^2. Partial derivatives are all far from 1."""
    real, fake = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)
    critic = Slope(1.0, 3.0)
    torch.testing.assert_close(gradient_penalty(critic, real, fake), torch.tensor(2.0))
    (pull,) = torch.autograd.grad(gradient_penalty(critic, real, fake), critic.norms)
    torch.testing.assert_close(pull, torch.tensor([0.0, 2.0]))


def test_a_flat_critic_has_finite_gradients():
    critic = Slope(0.0, 0.0)
    penalty = gradient_penalty(critic, torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4))
    assert penalty.item() == pytest.approx(1, abs=1e-4)
    (pull,) = torch.autograd.grad(penalty, critic.norms)
    assert pull.isfinite().all()


class Levels(nn.Module):
    """A critic whose values are large and differ little, as those of a trained one."""

    def __init__(self):
        super().__init__()
        self.judge = nn.Linear(16, 1)
        nn.init.ones_(self.judge.weight)
        nn.init.constant_(self.judge.bias, 200.0)

    def forward(self, slices):
        return self.judge(slices.flatten(1)).squeeze(1)


def test_half_precision_does_not_reach_the_distance():
    real, fake = torch.full((8, 1, 4, 4), 0.53), torch.full((8, 1, 4, 4), 0.5)
    critic = Levels()
    exact = critic_losses(critic, real, fake, 10.0)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = critic(real).mean() - critic(fake).mean()
        found = critic_losses(critic, real, fake.bfloat16(), 10.0)
    # 16 pixels that differ by 0.03; near 208 the steps of bfloat16 are 1.
    assert exact["wasserstein"].item() == pytest.approx(0.48, abs=1e-4)
    assert abs(rounded.item() - 0.48) > 0.3
    for name, value in exact.items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], value)


def test_a_critic_tells_real_from_fake():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))
    optimiser = torch.optim.Adam(critic.parameters(), lr=0.05)
    real, fake = torch.full((8, 1, 4, 4), 0.5), torch.zeros(8, 1, 4, 4)
    for _ in range(300):
        losses = critic_losses(critic, real, fake, 10.0)
        optimiser.zero_grad()
        losses["critic"].backward()
        optimiser.step()
    # The points are 2 apart; a critic of slope s maximises 2 s - 10 (s - 1)^2, at s = 1.1.
    assert losses["wasserstein"].item() == pytest.approx(2.2, rel=1e-3)


def test_phases_of_fanogan_change_their_own_parts_only(slices):
    model = made("fanogan", critic_steps=1)
    for phase, moving in (("gan", {"critic", "decoder"}), ("encoder", {"encoder"})):
        parts = {name: getattr(model, name) for name in ("encoder", "decoder", "critic")}
        before = {name: weights(part) for name, part in parts.items()}
        update = Updates(model.optimisers(phase))
        model.training_mode(phase)
        model.training_step(phase, Batch.of(slices), update)
        assert {name for name, part in parts.items() if changed(part, before[name])} == moving
    assert model.validation_loss("gan", Batch.of(slices)) is None
    assert model.validation_loss("encoder", Batch.of(slices)).shape == (5,)
    assert model.limits("gan") == {"max_steps": 20000} and model.limits("encoder") == {}
    with pytest.raises(ConfigError, match="gan_steps: found 0"):
        made("fanogan", gan_steps=0)


def test_codes_of_slices_are_dropped_in_fanogan_and_draws_of_z_are_not(slices):
    model = made("fanogan")
    dropped = {}
    for phase in model.phases:
        model.training_mode(phase)
        dropped[phase] = (model.decoder.features.dropout(torch.ones(50, 8)) == 0).any().item()
        assert model.decoder.stages.training is (phase == "gan")
    assert dropped == {"gan": False, "encoder": True}


@pytest.mark.parametrize(("family", "critic"), [("fanogan", "gan"), ("anovaegan", "main")])
def test_generators_step_after_some_steps_of_the_critic(slices, family, critic):
    model = made(family, critic_steps=3)
    update = Updates(model.optimisers(critic))
    stepped = []
    step = update.optimisers["generator"].step
    update.optimisers["generator"].step = lambda: (stepped.append(update.step), step())
    model.training_mode(critic)
    for update.step in range(7):
        losses = model.training_step(critic, Batch.of(slices), update)
        assert {"critic", "wasserstein", "penalty"} <= set(losses)
    assert stepped == [2, 5]


def test_codes_of_a_constrained_aae_become_normal():
    torch.manual_seed(0)
    slices = torch.rand(16, 1, 16, 16)
    model = made("constrained_aae", latent=2, learning_rate=2e-3, code_weight=0.0)
    update = Updates({**model.optimisers("main"), "ae": torch.optim.SGD(model.parameters(), 0.0)})
    model.encoder.code.dense.bias.data.fill_(3.0)
    far = model.encoder(slices)[0].mean().item()
    model.training_mode("main")
    for update.step in range(50):
        losses = model.training_step("main", Batch.of(slices), update)
    near = model.encoder(slices)[0].mean().item()
    assert far > 2 and abs(near) < 1
    assert {"loss", "reconstruction", "code", "critic"} <= set(losses)
