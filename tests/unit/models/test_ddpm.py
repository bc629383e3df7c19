"""The diffusion model against MONAI's scheduler and closed forms: noising, sampling, patches."""

import pytest
import torch
from monai.networks.schedulers import DDIMScheduler

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.parts.diffusing import Diffusion, patch_masks
from normscan.slices.batch import Batch, SliceShape

SMALL = {
    "width": 8,
    "depth": 1,
    "blocks": 1,
    "attention": False,
    "largest": 8.0,
    "times": 100,
    "starts": [50],
}


def made(shape=(1, 1, 16), **settings):
    model = registry.build("ddpm", SliceShape(*shape), **(SMALL | settings)).eval()
    # Its last layer starts with zeros, and everything would be equal.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=seeded()))
    return model


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=4, channels=1, size=16):
    return torch.rand(count, channels, size, size, generator=seeded()) + 0.1


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_noise_is_put_on_as_by_monai(schedule):
    ours = Diffusion(1000, schedule)
    theirs = DDIMScheduler(1000, {"linear": "linear_beta"}.get(schedule, schedule))
    clean, noise = images(), torch.randn(4, 1, 16, 16)
    times = torch.tensor([1, 250, 500, 1000])
    torch.testing.assert_close(
        ours.noisy(clean, noise, times), theirs.add_noise(clean, noise, times - 1)
    )
    torch.testing.assert_close(ours.noisy(clean, noise, 0 * times), clean)


def test_steps_are_those_of_monai():
    """From 1000 to 0 in ten steps, with an estimate of the noise that depends on image and time."""
    ours, theirs = Diffusion(1000, "linear"), DDIMScheduler(1000, clip_sample=False)
    theirs.set_timesteps(10)
    start = torch.randn(4, 1, 16, 16)

    def noise_at(noisy, time):
        return (0.7 * noisy + time.view(-1, 1, 1, 1) / 2000).sin()

    expected = start
    for time in range(999, 0, -100):
        now = torch.full((4,), time + 1)
        expected, _ = theirs.step(noise_at(expected, now), time, expected)
    found = ours.denoise(
        lambda noisy, time: ours.clean_of(noisy, noise_at(noisy, time), time), start, 1000, 10
    )
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_noise_and_clean_image_follow_from_each_other():
    diffusion, clean, noise = Diffusion(100, "cosine"), images(), torch.randn(4, 1, 16, 16)
    time = torch.tensor([1, 30, 60, 90])
    noisy = diffusion.noisy(clean, noise, time)
    torch.testing.assert_close(diffusion.clean_of(noisy, noise, time), clean, rtol=0, atol=1e-3)
    torch.testing.assert_close(diffusion.noise_of(noisy, clean, time), noise, rtol=0, atol=1e-3)


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("patch", [None, 8])
@pytest.mark.parametrize("predicts", ["image", "noise"])
def test_a_network_that_knows_gives_the_slice_back(monkeypatch, predicts, patch, steps):
    model, slices = made(predicts=predicts, patch=patch, denoising_steps=steps), images()
    clean = 2 * slices - 1

    def knows(noisy, time, code):
        if predicts == "image":
            return clean
        return model.diffusion.noise_of(noisy, clean, time)

    monkeypatch.setattr(model.network, "forward", knows)
    torch.testing.assert_close(model.reconstruct(slices), slices, rtol=0, atol=1e-4)


@pytest.mark.parametrize("patch", [None, 8])
def test_the_network_sees_noise_where_it_is_to_take_it_away(monkeypatch, patch):
    model, slices, seen = made(patch=patch), images(), []
    real = model.network.forward
    monkeypatch.setattr(
        model.network, "forward", lambda noisy, *other: seen.append(noisy) or real(noisy, *other)
    )
    model.reconstruct(slices)
    changed = [(one != 2 * slices - 1).all(dim=0)[0] for one in seen]
    if patch is None:
        assert len(seen) == 1 and changed[0].all()
    else:
        assert torch.equal(torch.stack(changed), patch_masks(16, 8, torch.device("cpu")))


def test_patches_fill_the_slice_once():
    masks = patch_masks(12, 4, torch.device("cpu"))
    assert masks.shape == (9, 12, 12) and (masks.sum(dim=0) == 1).all()
    assert masks[1, :4, 4:8].all() and masks[3, 4:8, :4].all()


@pytest.mark.parametrize("settings", [{}, {"patch": 8}, {"condition": True}, {"noise": "gaussian"}])
def test_reconstructions_do_not_depend_on_batches(settings):
    model, slices = made(**settings), images(5)
    with torch.inference_mode():
        whole = model.reconstruct(slices)
        parts = torch.cat([model.reconstruct(slices[:2]), model.reconstruct(slices[2:])])
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-5)


def test_samples_differ_and_follow_their_generator():
    model, slices = made(condition=True), images(1)
    with torch.inference_mode():
        code = model.encode(slices)
        one, again = (model.decode_sample(code, seeded(1)) for _ in range(2))
        other = model.decode_sample(code, seeded(2))
    assert torch.equal(one, again) and not torch.allclose(one, other)


def test_starts_are_averaged():
    slices = images()
    with torch.inference_mode():
        # Noise is drawn for one start after the other.
        first = made(starts=[50]).reconstruct(slices)
        both = made(starts=[50, 50]).reconstruct(slices)
    assert not torch.allclose(first, both)


def test_codes_reach_the_network():
    model, slices = made(condition=True), images()
    with torch.inference_mode():
        code = model.network.encode(slices)
        time = torch.full((4,), 50)
        one, other = (model.network(slices, time, each) for each in (code, code + 1))
    assert not torch.allclose(one, other)


def test_the_loss_of_a_patch_is_that_inside():
    """A network that is right outside of the patch only has the error of the patch."""
    model, slices = made(patch=8), images()
    model.network.forward = lambda noisy, *_: torch.full_like(noisy, 3.0)
    errors = model.validation_loss("main", Batch(slices, slices, {}))
    clean = 2 * slices - 1
    whole = (3 - clean).unfold(2, 8, 8).unfold(3, 8, 8).flatten(4).mean(dim=-1).flatten(1)
    assert all(torch.isclose(each, error, rtol=1e-4).any() for each, error in zip(whole, errors))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"starts": [101]}, "must be times from 1 to 100"),
        ({"patch": 5}, "no multiple of it"),
    ],
)
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        made(**settings)


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(ConfigError, match="takes multiples of 4"):
        made((1, 1, 18), depth=2)
