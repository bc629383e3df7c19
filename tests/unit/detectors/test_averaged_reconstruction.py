"""Averages of reconstructions against averages made one by one."""

import numpy as np
import pytest
import torch
from fake_models import Convolutional, Linear, detect

from normscan.detectors import averaged_reconstruction as averaged
from normscan.detectors.sampling import slice_seed
from normscan.errors import ConfigError
from normscan.models import registry as models
from normscan.workflow.protocols import parse_protocol


def run(model, slices, **settings):
    brain = np.ones((len(slices), *slices.shape[2:]), bool)
    return detect("averaged_reconstruction", model, slices, brain, **settings)


def rectangular(count=5, contrasts=1, size=4):
    return np.random.default_rng(0).random((count, contrasts, size, size), dtype=np.float32)


def mirrored(slices):
    return torch.from_numpy(slices[:, :, ::-1].copy())


class Ramp(torch.nn.Module):
    """Slices and a ramp along one axis, whatever the slice."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def reconstruct(self, slices):
        ramp = torch.linspace(-1, 1, slices.shape[self.axis])
        return slices + (ramp[:, None] if self.axis == 2 else ramp)


def test_it_is_left_and_right_that_are_mirrored():
    """The first axis of a slice runs from left to right, so a ramp along it cancels."""
    slices = rectangular()
    across, along = run(Ramp(2), slices), run(Ramp(3), slices)
    np.testing.assert_allclose(across.map, 0, atol=1e-6)
    np.testing.assert_allclose(
        along.map[:, 0], -np.linspace(-1, 1, 4)[None].repeat(5, 0), atol=1e-6
    )
    np.testing.assert_allclose(
        across.uncertainty[0, :, 0], np.abs(np.linspace(-1, 1, 4)), atol=1e-6
    )
    np.testing.assert_allclose(along.uncertainty, 0, atol=1e-6)


def test_without_draws_it_is_the_mean_of_both_views():
    model, slices = Convolutional().eval(), rectangular(7, size=16)
    with torch.no_grad():
        plain = model.reconstruct(torch.from_numpy(slices)).numpy()
        other = model.reconstruct(mirrored(slices)).numpy()[:, :, ::-1]
    found = run(model, slices)
    np.testing.assert_allclose(found.reconstruction, (plain + other) / 2, atol=1e-5)
    np.testing.assert_allclose(found.map, (slices - found.reconstruction)[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.uncertainty, np.abs(plain - other)[:, 0] / 2, atol=1e-5)


@pytest.mark.parametrize("contrasts", [1, 2])
@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("draws", [1, 5, averaged.GROUP + 3])
def test_draws_of_both_views_are_averaged(contrasts, flips, draws):
    model, slices = Linear(contrasts=contrasts), rectangular(contrasts=contrasts)
    found = run(model, slices, draws=draws, flips=flips, seed=5,
                contrasts=["T1w", "FLAIR"][:contrasts])  # fmt: skip
    for number, own in enumerate(slices):
        random, made = torch.Generator().manual_seed(slice_seed(5, number)), []
        for mirror in [False, True][: 1 + flips]:
            view = mirrored(own[None]) if mirror else torch.from_numpy(own[None])
            with torch.no_grad():
                code = model.encode(view)
                groups = [min(averaged.GROUP, draws - at) for at in range(0, draws, averaged.GROUP)]
                drawn = torch.cat(
                    [model.decode_sample(code.expand(many, -1), random) for many in groups]
                ).numpy()
            made.append(drawn[:, :, ::-1] if mirror else drawn)
        made = np.concatenate(made).astype(float)
        np.testing.assert_allclose(found.reconstruction[number], made.mean(axis=0), atol=1e-5)
        residual = own - made.mean(axis=0)
        expected = np.abs(residual).mean(axis=0) * np.where(residual.mean(axis=0) < 0, -1, 1)
        np.testing.assert_allclose(found.map[number], expected, atol=1e-5)
        np.testing.assert_allclose(
            found.uncertainty[number], made.std(axis=0).mean(axis=0), atol=1e-4
        )


@pytest.mark.parametrize("family", ["ae", "denoising_ae"])
def test_draws_of_a_slice_do_not_depend_on_its_batch(family):
    settings = {"depth": 1, "width": 4} if family == "denoising_ae" else {"latent": 4}
    model = models.build(family, (1, 1, 16), seed=1, **settings)
    slices = rectangular(6, size=16)
    together, other = (run(model, slices, draws=3, seed=seed) for seed in (0, 1))
    for size in (1, 4):
        found = run(model, slices, draws=3, batch_size=size)
        np.testing.assert_allclose(found.map, together.map, atol=1e-5)
        np.testing.assert_allclose(found.uncertainty, together.uncertainty, atol=1e-5)
    alone = run(model, slices[:2], draws=3)
    np.testing.assert_allclose(alone.map, together.map[:2], atol=1e-5)
    assert not np.allclose(other.map, together.map, atol=1e-4)
    equal = run(model, slices[:1].repeat(2, axis=0), draws=3).map
    assert not np.allclose(equal[0], equal[1], atol=1e-4)


def test_what_is_random_cancels():
    """The mean of many draws of a linear model is its reconstruction."""
    model, slices = Linear(), rectangular()
    with torch.no_grad():
        expected = model.reconstruct(torch.from_numpy(slices)).numpy()
    many = run(model, slices, draws=4000, flips=False)
    deviation = model.spread * np.sqrt((model.weight.detach().numpy() ** 2).sum(axis=1)).max()
    assert np.abs(many.reconstruction - expected).max() < 5 * deviation / np.sqrt(4000)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flips": False}, "draws, flips: neither is given"),
        ({"draws": 0}, "draws: found 0; must be a number of at least 1"),
        ({"flips": "no"}, "flips: found 'no'; must be true or false"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        run(Linear(), rectangular(), **settings)


@pytest.mark.parametrize(("family", "problems"), [("translation", 1), ("denoising_ae", 0)])
def test_draws_of_a_model_without_anything_random_are_refused_when_planned(family, problems):
    found = parse_protocol(
        "example",
        {
            "contrasts": ["FLAIR"],
            "preprocessing": [{"register": {}}],
            "slices": {"size": 128},
            "models": {"mine": {"family": family}},
            "approaches": {
                "mine": {"model": "mine", "detector": "averaged_reconstruction", "draws": 8},
                "flipped": {"model": "mine", "detector": "averaged_reconstruction"},
            },
        },
    )[1]
    assert len(found) == problems
    assert all("approaches.mine.draws" in one for one in found)
