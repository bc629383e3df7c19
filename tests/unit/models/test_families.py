"""AE and VAE: what they compute, and what the registry says of all families."""

import inspect
import subprocess
import sys

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.capabilities import PROTOCOLS
from normscan.models.parts.gaussian import draw, kl_to_standard
from normscan.networks.unified import DenseFeatures
from normscan.slices.batch import Batch


def made(family, **settings):
    return registry.build(family, (1, 1, 16), **{"latent": 8, **settings}).eval()


def codes(family):
    """Whether it has an encoder and a decoder."""
    return {"encoder", "decoder"} <= registry.describe(family)["parts"]


@pytest.fixture
def slices():
    return torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_registry_describes_families_without_importing_torch():
    code = (
        "import sys; from normscan.models import registry; "
        "print(registry.families(), registry.describe('vae')); "
        "assert 'torch' not in sys.modules"
    )
    path = {"PYTHONPATH": str(registry.FOLDER.parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "'translation', 'vae'" in done.stdout


def test_capabilities_are_methods_of_the_model():
    """What a family says it can do, and nothing else, is what its class has the methods for."""
    for family in registry.families():
        model = registry.load(family).Model
        able = {name for name, protocol in PROTOCOLS.items() if issubclass(model, protocol)}
        # (Protocols tell methods apart by name, and dropping is sampling with one more argument.)
        drops = (
            "dropout" in inspect.signature(getattr(model, "decode_sample", able)).parameters
            if "sample" in able
            else False
        )
        able -= set() if drops else {"drop"}
        assert able == registry.describe(family)["capabilities"], family


def test_an_unknown_family_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'vae'"):
        registry.load("vea")


@pytest.mark.parametrize(
    ("family", "setting", "expected"),
    [
        ("vae", {"network": "you2018"}, ["models.m.network", "did you mean 'you2019'"]),
        ("vae", {"network": "you2019"}, ["models.m.bottleneck", "network you2019 has: spatial"]),
        ("constrained_aae", {"bottleneck": "spatial"}, ["models.m.bottleneck", "needs: dense"]),
        ("vqvae", {"bottleneck": "dense", "network": "unified"}, ["needs: spatial"]),
        ("fanogan", {"network": "chen2018"}, ["models.m.network", "no critic", "schlegl2019"]),
        ("ae", {"dropout": 1.0}, ["models.m.dropout: found 1.0", "below 1"]),
        ("ae", {"dropout": "some"}, ["models.m.dropout: found 'some'", "below 1"]),
        (
            "gmvae",
            {"dropout": 0.2, "bottleneck": "spatial"},
            ["models.m.dropout: found 0.2", "'spatial' of network unified has no dropout"],
        ),
    ],
)
def test_a_network_that_does_not_fit_is_named(family, setting, expected):
    settings = {**registry.describe(family)["settings"], **setting}
    (problem,) = registry.network_problems(family, settings, "models.m")
    assert all(part in problem for part in expected)


def test_the_usual_network_fits_every_family():
    for family in registry.families():
        settings = registry.describe(family)["settings"]
        assert registry.network_problems(family, settings, "models.m") == []


@pytest.mark.parametrize("family", ["ae", "vae"])
def test_equal_seeds_give_equal_weights(family):
    torch.manual_seed(1)
    one, same, other = (made(family, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_loss_of_the_ae_is_the_l1_error_summed_over_pixels(slices):
    model = made("ae")
    losses = model.losses(Batch.of(slices))
    error = (slices - model.reconstruct(slices)).abs()
    torch.testing.assert_close(losses["loss"], error.sum() / len(slices))
    torch.testing.assert_close(losses["reconstruction"], error.mean())
    torch.testing.assert_close(
        model.validation_loss("main", Batch.of(slices)), error.mean(dim=(1, 2, 3))
    )


def test_divergence_agrees_with_torch_distributions():
    mean, log_variance = torch.randn(4, 3, 2), torch.randn(4, 3, 2)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum(dim=(1, 2))
    torch.testing.assert_close(kl_to_standard(mean, log_variance), expected)


def test_codes_are_drawn_from_the_posterior():
    mean, log_variance = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.0, -2.0]])
    generator = torch.Generator().manual_seed(0)
    drawn = draw(mean.expand(20000, 2), log_variance.expand(20000, 2), generator)
    torch.testing.assert_close(drawn.mean(0), mean[0], atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.var(0), log_variance[0].exp(), atol=0.03, rtol=0)


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_elbo_is_the_error_plus_the_weighted_divergence(slices, weight):
    model = made("vae", kl_weight=weight)
    error = (slices - model.reconstruct(slices)).abs().flatten(1).sum(dim=1)
    divergence = kl_to_standard(*model.encode(slices))
    torch.testing.assert_close(model.elbo_loss(slices), error + weight * divergence)


def test_elbo_is_differentiable_in_the_slices():
    model = made("vae").double()
    slices = torch.rand(2, 1, 16, 16, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.elbo_loss(slices).sum(), slices)
    direction = torch.randn(slices.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (model.elbo_loss(slices + s * direction).sum() for s in (step, -step))
    found = (gradient * direction).sum()
    torch.testing.assert_close(found, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["ae", "vae"])
def test_sampled_reconstructions_follow_their_generator(slices, family):
    model = made(family)

    def sample(seed):
        return model.decode_sample(model.encode(slices), torch.Generator().manual_seed(seed))

    with torch.no_grad():
        one, same, other = sample(1), sample(1), sample(2)
        assert torch.equal(one, same) and not torch.equal(one, other)
        code = model.encode(slices)
        again = model.decode_sample(code, torch.Generator().manual_seed(1))
    assert torch.equal(again, one)


@pytest.mark.parametrize(("asked", "rate"), [(None, 0.25), (0.4, 0.4)])
def test_dropped_codes_keep_their_mean(asked, rate):
    model = made("ae", dropout=0.25)
    model.decoder = torch.nn.Identity()
    code, generator = torch.ones(2, 50000), torch.Generator().manual_seed(0)
    dropped = model.decode_sample(code, generator, asked)
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert (dropped == 0).float().mean().item() == pytest.approx(rate, abs=0.02)


def test_samples_of_an_ae_vary_about_its_reconstruction(slices):
    """The AE that reconstructs and the one that is sampled are one model."""
    model, generator = made("ae"), torch.Generator().manual_seed(0)
    with torch.no_grad():
        expected, code = model.reconstruct(slices), model.encode(slices)
        assert torch.equal(model.decode_sample(code, generator, 0.0), expected)
        one, other = (model.decode_sample(code, generator) for _ in range(2))
    assert not torch.equal(one, expected) and not torch.equal(one, other)


@pytest.mark.parametrize("settings", [{"dropout": 0.0}, {"bottleneck": "spatial"}])
def test_sampling_an_ae_without_dropout_is_refused(slices, settings):
    with pytest.raises(ConfigError, match="dropout: the bottleneck of this model has none"):
        model = made("ae", **settings)
        model.decode_sample(model.encode(slices), torch.Generator())


def test_what_an_ae_can_do_depends_on_its_bottleneck():
    usual = registry.describe("ae")["settings"]
    able = {
        name: registry.capabilities("ae", {**usual, **changes})
        for name, changes in {
            "dense": {},
            "spatial": {"bottleneck": "spatial"},
            "without": {"dropout": 0},
            "published": {"network": "zimmerer2019"},
        }.items()
    }
    assert able.pop("dense") == {"reconstruct", "sample", "drop", "embed"}
    assert all(found == {"reconstruct", "embed"} for found in able.values())


DENSE = [
    family
    for family in registry.families()
    if codes(family) and registry.describe(family)["settings"]["bottleneck"] == "dense"
]


@pytest.mark.parametrize("family", DENSE)
def test_the_dropout_of_the_dense_bottleneck_acts_in_training_only(family):
    # Large enough for a network at each of several scales.
    model = registry.build(family, (1, 1, 64), latent=8).eval()
    features = next(one for one in model.modules() if isinstance(one, DenseFeatures))
    code = torch.rand(40, 8)
    dropped = features.train().dropout(code)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.08)
    torch.testing.assert_close(dropped[dropped != 0], code[dropped != 0] / 0.8)
    assert torch.equal(features.eval().dropout(code), code)


def test_an_ae_is_trained_with_dropout(slices):
    def losses(**settings):
        model, found = made("ae", **settings).train(), []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            found.append(model.losses(Batch.of(slices))["loss"].item())
        return found

    first, same, other = losses()
    assert first == same != other
    assert len(set(losses(dropout=0.0))) == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"dropout": 1.0}, "dropout: found 1.0"),
        ({"dropout": 0.2, "bottleneck": "spatial"}, "dropout: found 0.2"),
        ({"network": "other"}, "unknown network 'other'"),
        ({"bottleneck": "wide"}, "bottleneck: found"),
    ],
)
def test_impossible_settings_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        made("ae", **setting)


def test_several_contrasts(slices):
    model = registry.build("vae", (3, 3, 16), latent=8).eval()
    several = torch.cat([slices, slices * 2, slices * 3], dim=1)
    assert model.reconstruct(several).shape == several.shape
    assert model.elbo_loss(several).shape == (5,)
