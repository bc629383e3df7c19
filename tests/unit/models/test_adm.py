"""ADM network: what predictions may see, its losses and energies by hand, variants, the bound."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch.nn import functional

from check_family import Cohorts, Interrupted, model_facts, small_settings, trained
from normscan.errors import ConfigError, TrainingError
from normscan.models import registry
from normscan.models.base import Updates
from normscan.networks.kim2021 import ContrastToContrast, brain_medians, hidden
from normscan.slices.batch import Batch
from normscan.workflow.protocol_models import parse_models


def made(contrasts=4, **settings):
    return registry.build("adm", (contrasts, contrasts, 16), **{"width": 4, "seed": 1, **settings})


def made_slices(count=6, contrasts=4, seed=0, size=16):
    """Discs of smooth tissue that all contrasts show, z-scored more or less; background 0."""
    random = np.random.default_rng(seed)
    x, y = np.mgrid[:size, :size] / size - 0.5
    radius = random.uniform(0.32, 0.45, (count, 1, 1))
    waves = np.sin(6 * x + random.uniform(0, 6, (count, 1, 1))) * np.cos(5 * y)
    slopes = random.normal(1, 0.3, (contrasts, 1, 1, 1))
    tissue = np.stack([s * waves + 0.3 * waves**2 for s in slopes], axis=1)
    noise = 0.05 * random.normal(size=tissue.shape)
    inside = (x**2 + y**2 < radius**2)[:, None]
    return torch.from_numpy(((tissue + noise) * inside).astype(np.float32))


# Translation


@pytest.fixture
def translation():
    torch.manual_seed(0)
    network = ContrastToContrast(4, 16, 4)
    # As after training: the first weights of the last layer are nearly 0.
    torch.nn.init.normal_(network.head[-1].weight, std=0.1)
    return network


def median_pixels(slices, contrast):
    """Where a contrast's median is, (n, size, size)."""
    return slices[:, contrast] == brain_medians(slices)[:, contrast, None, None]


@pytest.mark.parametrize("contrast", range(4))
def test_a_prediction_sees_of_its_own_contrast_the_median_alone(translation, contrast):
    slices = made_slices().requires_grad_()
    predicted = translation(slices)[:, contrast]
    (slope,) = torch.autograd.grad((predicted * torch.rand(predicted.shape)).sum(), slices)
    own, others = slope[:, contrast], slope[:, [c for c in range(4) if c != contrast]]
    median = median_pixels(slices, contrast)
    assert (own[~median] == 0).all() and (own[median] != 0).all()
    assert (others.abs().amax(dim=(2, 3)) > 1e-4).all()


def test_other_values_with_the_same_median_change_no_bit(translation):
    slices = made_slices()
    changed, median = slices.clone(), median_pixels(slices, 2)
    level = brain_medians(slices)[:, 2, None, None]
    changed[:, 2] = torch.where(
        (slices[:, 2] != 0) & ~median, 3 * slices[:, 2] - 2 * level, slices[:, 2]
    )
    assert torch.equal(brain_medians(changed), brain_medians(slices))
    with torch.no_grad():
        before, after = translation(slices), translation(changed)
    assert torch.equal(after[:, 2], before[:, 2])
    assert not torch.isclose(after[:, [0, 1, 3]], before[:, [0, 1, 3]]).all()


def test_without_the_median_nothing_of_the_own_contrast_is_seen():
    torch.manual_seed(0)
    network = ContrastToContrast(3, 16, 4, median=False)
    slices = made_slices(contrasts=3).requires_grad_()
    (slope,) = torch.autograd.grad(network(slices)[:, 1].square().sum(), slices)
    assert (slope[:, 1] == 0).all() and slope[:, [0, 2]].any()


def test_medians_are_of_the_brain():
    slices = made_slices(5)
    slices[:2, 0, 8, 8] = 0  # A value of 0 in the brain, where other contrasts have one.
    inside = (slices != 0).any(dim=1)
    for number, medians in enumerate(brain_medians(slices)):
        for contrast, found in enumerate(medians):
            values = np.sort(slices[number, contrast][inside[number]].numpy())
            assert found.item() == values[(len(values) - 1) // 2]
    assert (brain_medians(torch.zeros(2, 3, 8, 8)) == 0).all()


def test_each_contrast_is_hidden_once():
    slices, levels = torch.rand(2, 3, 4, 4), torch.tensor([[5.0, 6, 7], [8, 9, 10]])
    found = hidden(slices, levels).view(2, 3, 3, 4, 4)
    for target in range(3):
        for channel in range(3):
            for number in range(2):
                expected = slices[number, channel]
                if channel == target:
                    expected = levels[number, target].expand(4, 4)
                torch.testing.assert_close(found[number, target, channel], expected)


def test_the_median_enters_the_last_layer_as_one_more_channel(translation):
    """A filter of a map that is the same everywhere is the sum of its weights."""
    slices, levels = made_slices(), brain_medians(made_slices())
    translation.level.data.fill_(0.7)
    features = translation.features(hidden(slices, levels))
    maps = levels.reshape(-1, 1, 1, 1).expand(-1, 1, 16, 16)
    last = translation.head[-1]
    weight = torch.cat([last.weight, torch.full((1, 1, 9, 9), 0.7 / 81)], dim=1)
    joined = functional.pad(torch.cat([features, maps], dim=1), (4,) * 4, mode="reflect")
    expected = functional.conv2d(joined, weight, last.bias).view(slices.shape)
    expected = expected * (slices != 0).any(dim=1, keepdim=True)
    torch.testing.assert_close(translation(slices), expected, atol=1e-5, rtol=1e-4)


def test_layers_are_those_of_the_paper():
    network = ContrastToContrast(4, 128)
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    layers = [one for one in network.modules() if isinstance(one, kinds)]
    shapes = [
        (one.in_channels, one.out_channels, one.kernel_size[0], one.stride[0]) for one in layers
    ]
    assert shapes == [
        (4, 64, 9, 1), (64, 128, 3, 2), (128, 256, 3, 2), *[(256, 256, 3, 1)] * 8,
        (256, 128, 3, 2), (128, 64, 3, 2), (64, 1, 9, 1),
    ]  # fmt: skip
    reduction = registry.build("adm", (4, 4, 16)).reduction
    shapes = [
        [(one.kernel_size[0], one.in_channels, one.out_channels) for one in part[::2]]
        for part in (reduction.reduce, reduction.restore)
    ]
    assert shapes == [[(3, 4, 16), (3, 16, 8), (3, 8, 3)], [(1, 3, 8), (1, 8, 16), (1, 16, 4)]]


# Losses and energies


def rows(features, slices):
    """Feature vectors of the brain's pixels, float64 arrays (pixels, d)."""
    inside = (slices != 0).any(dim=1)
    return features.detach().permute(0, 2, 3, 1)[inside].double().numpy()


def features_by_hand(model, slices):
    predicted = model.translation(slices)
    return torch.cat([(slices - predicted).abs(), model.reduction.reduce(slices)], dim=1)


def mixture_by_hand(model, z):
    """Weights, means, covariances of the responsibilities that the network gives."""
    with torch.no_grad():
        r = model.density.responsibilities(torch.from_numpy(z).float()).double().numpy()
    means = [np.average(z, axis=0, weights=one) for one in r.T]
    covariances = [np.cov(z.T, aweights=one, ddof=0) for one in r.T]
    return r.mean(axis=0), means, covariances


def energies_by_hand(z, weights, means, covariances):
    parts = [
        np.log(weight) + multivariate_normal(mean, covariance).logpdf(z)
        for weight, mean, covariance in zip(weights, means, covariances)
    ]
    return -logsumexp(parts, axis=0)


def test_losses_are_equations_13_and_14():
    model, slices = made(density_weight=0.3).eval(), made_slices()
    predicted = model.translation(slices)
    found = model.translation_losses(slices)
    inside = (slices != 0).any(dim=1)
    assert (predicted.movedim(1, 3)[~inside] == 0).all()
    pixels = inside.flatten(1).sum(dim=1)
    squared = (slices - predicted).square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(found["loss"], squared.sum() / pixels.sum())
    torch.testing.assert_close(
        model.validation_loss("translation", Batch.of(slices)), squared / pixels
    )
    found = model.density_losses(slices)
    z = rows(features_by_hand(model, slices), slices)
    energies = energies_by_hand(z, *mixture_by_hand(model, z))
    restored = model.reduction.restore(model.reduction.reduce(slices))
    squared = ((slices - restored).square().sum(dim=1) * inside).sum(dim=(1, 2))
    assert found["energy"].item() == pytest.approx(energies.mean(), rel=1e-4)
    expected = (squared.sum() / pixels.sum()).item() + 0.3 * energies.mean()
    assert found["loss"].item() == pytest.approx(expected, rel=1e-4)
    held_out = model.validation_loss("density", Batch.of(slices))
    parts = np.split(energies, np.cumsum(pixels.numpy())[:-1])
    expected = (squared / pixels).detach().numpy() + [0.3 * one.mean() for one in parts]
    np.testing.assert_allclose(held_out.detach(), expected, rtol=1e-4)


def test_the_penalty_is_added_where_it_is_asked_for():
    settings = {"bound": "penalty", "penalty_weight": 0.01, "density_weight": 0.0}
    model, slices = made(**settings).eval(), made_slices()
    z = rows(features_by_hand(model, slices), slices)
    covariances = mixture_by_hand(model, z)[2]
    expected = 0.01 * sum((1 / np.diag(one)).sum() for one in covariances)
    found, without = (made(**{**settings, "bound": bound}).eval() for bound in ("penalty", "none"))
    difference = found.density_losses(slices)["loss"] - without.density_losses(slices)["loss"]
    assert difference.item() == pytest.approx(expected, rel=1e-3)


def fitted(model, slices, parts=2):
    size = len(slices) // parts
    batches = [Batch.of(one) for one in slices.split(size)]
    model.eval()
    with torch.no_grad():
        facts = model.finish_phase("fit", lambda: iter(batches))
    return model, facts


def test_the_final_mixture_is_of_all_pixels_that_it_is_asked_to_be_of():
    slices = made_slices(8)
    model, facts = fitted(made(), slices)
    z = rows(features_by_hand(model, slices), slices)
    expected = mixture_by_hand(model, z)
    for found, own in zip(model.density.mixture, expected):
        np.testing.assert_allclose(found, np.array(own), rtol=1e-4, atol=1e-6)
    assert (facts["slices"], facts["pixels"]) == (8, len(z))
    half, facts = fitted(made(fit_share=0.5), slices)
    assert facts["slices"] == 4
    assert not torch.allclose(half.density.means, model.density.means)


def test_maps_are_energies_above_their_bound_and_nothing_in_the_background():
    model, _ = fitted(made(), made_slices(8))
    slices = made_slices(3, seed=5)
    weights, means, covariances = (one.numpy() for one in model.density.mixture)
    z = rows(features_by_hand(model, slices), slices)
    inside = (slices != 0).any(dim=1)

    def expected(chosen):
        parts = means[:, chosen], covariances[:, chosen, chosen]
        least = -logsumexp(
            [
                np.log(weight) + multivariate_normal(mean, covariance).logpdf(mean)
                for weight, mean, covariance in zip(weights, *parts)
            ]
        )
        return energies_by_hand(z[:, chosen], weights, *parts) - least

    with torch.no_grad():
        found = [
            (slice(None), model.energy(slices)),
            (slice(0, 4), model.energy_by_feature(slices, "translated")),
            (slice(4, 7), model.energy_by_feature(slices, "reduced")),
        ]
    for chosen, map in found:
        assert map.shape == (3, 16, 16) and (map >= 0).all() and (map[~inside] == 0).all()
        np.testing.assert_allclose(map[inside], expected(chosen), rtol=1e-3, atol=1e-3)


def test_a_map_depends_on_its_slice_alone():
    model, _ = fitted(made(), made_slices(8))
    slices = made_slices(4, seed=5)
    with torch.no_grad():
        alone = torch.cat([model.energy(one) for one in slices.split(1)])
        torch.testing.assert_close(alone, model.energy(slices), rtol=1e-3, atol=1e-3)


def test_half_precision_leaves_the_mixture_alone():
    """Covariances near the bound have no digits in bfloat16."""
    model, slices = made().eval(), made_slices()
    with torch.no_grad():
        exact = model.density_losses(slices)
        with torch.autocast("cpu", torch.bfloat16):
            found = model.density_losses(slices)
    assert found["energy"].dtype == torch.float64
    torch.testing.assert_close(found["energy"], exact["energy"], rtol=0.05, atol=0.3)


# Variants


def stepped(model, phase, slices):
    """Names of the parts whose weights a training step changed."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    model.training_step(phase, Batch.of(slices), Updates(model.optimisers(phase)))
    after = model.state_dict().items()
    return {name.split(".")[0] for name, value in after if not torch.equal(value, before[name])}


def test_each_phase_trains_its_own_parts():
    slices = made_slices()
    assert made().phases == ("translation", "density", "fit")
    assert stepped(made(), "translation", slices) == {"translation"}
    assert stepped(made(), "density", slices) == {"reduction", "density"}


def test_without_joint_training_features_do_not_follow_the_mixture():
    slices = made_slices()
    for joint in (True, False):
        model = made(joint=joint, density_weight=0.5).eval()
        weight = model.reduction.reduce[0].weight
        (found,) = torch.autograd.grad(model.density_losses(slices)["loss"], weight)
        _, restored = model.reduction(slices)
        error = (slices - restored).square().sum(dim=1)[(slices != 0).any(dim=1)].mean()
        (alone,) = torch.autograd.grad(error, weight)
        assert torch.allclose(found, alone, atol=1e-7) is not joint


@pytest.mark.parametrize(("features", "length"), [("translated", 4), ("reduced", 3)])
def test_one_kind_of_features_alone(features, length):
    slices = made_slices(8)
    model, _ = fitted(made(features=features), slices)
    assert model.density.means.shape == (6, length)
    assert model.phases[-2:] == ("density", "fit")
    assert ("translation" in model.phases) is (features == "translated")
    assert model.reconstruct(slices).shape == slices.shape
    with torch.no_grad():
        whole, same = model.energy(slices), model.energy_by_feature(slices, features)
    torch.testing.assert_close(whole, same)
    (other,) = {"translated", "reduced"} - {features}
    with pytest.raises(ConfigError, match=f"found '{other}'.*no others than {features}"):
        model.energy_by_feature(slices, other)


@pytest.mark.parametrize("contrasts", [2, 3, 4])
def test_features_follow_the_number_of_contrasts(contrasts):
    slices = made_slices(contrasts=contrasts)
    model, _ = fitted(made(contrasts), slices)
    assert model.density.means.shape == (6, contrasts + 3)
    assert model.energy(slices).shape == (6, 16, 16)


def test_a_single_contrast_is_refused():
    with pytest.raises(ConfigError, match="inputs: found 1.*at least 2"):
        made(1)
    with pytest.raises(ConfigError, match="inputs: found 1 contrast.*two or more"):
        ContrastToContrast(1, 16)
    problems = []
    entries = {"m": {"family": "adm", "inputs": ["T1w"], "targets": ["T1w"]}}
    parse_models(entries, ["T1w", "FLAIR"], {"main"}, "p", problems)
    (line,) = problems
    assert line.startswith("p.models.m.inputs: found T1w; must be at least 2 contrasts")
    parse_models({"m": {"family": "adm"}}, ["T1w", "FLAIR"], {"main"}, "p", problems)
    assert len(problems) == 1


@pytest.mark.parametrize("size", [4, 18])
def test_sizes_that_cannot_be_halved_are_refused(size):
    with pytest.raises(ConfigError, match=f"slices.size: found {size}"):
        ContrastToContrast(2, size)


# The bound


@pytest.mark.parametrize("bound", ["eigenvalue", "none", "penalty"])
def test_features_in_fewer_dimensions_than_they_have(bound):
    """The third reduced number is the sum of the others: a covariance has an eigenvalue of 0."""
    model, slices = made(bound=bound, features="reduced").eval(), made_slices()
    with torch.no_grad():
        for values in (model.reduction.reduce[-1].weight, model.reduction.reduce[-1].bias):
            values[2] = values[0] + values[1]
    if bound != "eigenvalue":
        with pytest.raises(TrainingError, match="singular"):
            model.density_losses(slices)
        return
    losses = model.density_losses(slices)
    slopes = torch.autograd.grad(losses["loss"], [*model.reduction.parameters()])
    assert all(one.isfinite().all() for one in (losses["loss"], *slopes))


# Resume


def test_a_training_killed_while_the_mixture_is_learned_goes_on_to_the_same_bits(
    tmp_path, monkeypatch
):
    cohorts, settings = Cohorts(tmp_path), small_settings("adm", {"max_epochs": 2})
    facts, uses = model_facts("adm", settings, tmp_path, cohorts)
    whole, history = trained(facts, uses, cohorts, None)
    usual = type(whole).training_step

    def dying(self, phase, batch, update):
        if phase == "density" and update.step == 4:
            raise Interrupted
        return usual(self, phase, batch, update)

    with monkeypatch.context() as patched:
        patched.setattr(type(whole), "training_step", dying)
        with pytest.raises(Interrupted):
            trained(facts, uses, cohorts, tmp_path / "checkpoints")
    again, resumed = trained(facts, uses, cohorts, tmp_path / "checkpoints")
    assert resumed == history
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
