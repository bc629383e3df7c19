"""Two mappings that are trained against critics: networks, losses, pool, simulated slices."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from normscan.errors import ConfigError, TrainingError
from normscan.models.parts.cycle import ImagePool, critic_loss, decayed, least_squares
from normscan.models.parts.simulated import other_tissues, simulate, tissue_levels
from normscan.models.parts.smoothing import gaussian_taps, smooth
from normscan.networks import cyclegan
from normscan.networks.padding import _of_slices, mirrored
from normscan.slices.batch import Batch


@pytest.mark.parametrize(("reach", "size"), [(0, 5), (1, 2), (3, 4), (4, 9)])
def test_borders_are_mirrored_as_torch_does_it_and_so_are_gradients(reach, size):
    images = torch.rand(2, 3, size, size + 1, dtype=torch.float64, requires_grad=True)
    found, expected = _of_slices(images, reach), mirrored(images, reach)
    assert torch.equal(found, expected)
    weights = torch.rand_like(expected)
    gradients = [torch.autograd.grad((one * weights).sum(), images)[0] for one in (found, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_the_filter_is_the_gaussian_of_scipy(sigma):
    images = torch.rand(2, 3, 20, 20, dtype=torch.float64)
    expected = gaussian_filter(images.numpy(), sigma, mode="mirror", axes=(2, 3))
    np.testing.assert_allclose(smooth(images, gaussian_taps(sigma)), expected, atol=1e-12)


def test_published_sizes():
    """11.38 million weights with 9 blocks, 2.77 of a critic (published code: also idle biases)."""
    with torch.device("meta"):
        parts = [
            cyclegan.make_image_to_image(3, 3, 256, depth=2, width=64),
            cyclegan.make_image_to_image(3, 3, 128, depth=2, width=64),
            cyclegan.make_patch_critic(3, 256),
        ]
    found = [sum(p.numel() for p in part.parameters()) / 1e6 for part in parts]
    assert found == pytest.approx([11.38, 7.84, 2.77], rel=3e-3)


@pytest.mark.parametrize(("inputs", "outputs", "size", "depth"), [(1, 1, 16, 2), (2, 3, 20, 1)])
def test_images_keep_their_size(inputs, outputs, size, depth):
    network = cyclegan.make_image_to_image(inputs, outputs, size, depth=depth, width=4)
    images = torch.rand(2, inputs, size, size)
    found, features = network(images), network.features(images)
    assert found.shape == (2, outputs, size, size) and features.shape == (2, 4, size, size)
    torch.testing.assert_close(network.head(features), found)
    # Instance norm: each slice by itself, in training too.
    torch.testing.assert_close(network(images[:1]), found[:1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("size", "depth", "least"), [(18, 2, 8), (4, 2, 8), (2, 1, 4)])
def test_sizes_that_do_not_fit_are_named(size, depth, least):
    expected = f"slices.size: found {size}.*multiples of {2**depth}, at least {least}"
    with pytest.raises(ConfigError, match=expected):
        cyclegan.make_image_to_image(1, 1, size, depth=depth, width=4)


def test_slices_that_are_smaller_than_a_patch_are_refused():
    with pytest.raises(ConfigError, match="slices.size: found 12.*at least 16"):
        cyclegan.make_patch_critic(1, 12)


@pytest.mark.parametrize(("size", "patch"), [(128, 70), (64, 34), (32, 16)])
def test_a_critic_sees_patches(size, patch):
    critic = cyclegan.make_patch_critic(1, size)
    judge = nn.Sequential(*(m for m in critic.judge if not isinstance(m, nn.GroupNorm)))
    images = torch.rand(1, 1, size, size, requires_grad=True)
    middle = judge(images).shape[-1] // 2
    (gradient,) = torch.autograd.grad(judge(images)[0, 0, middle, middle], images)
    seen = gradient[0, 0].abs() > 0
    assert seen.any(dim=0).sum() == seen.any(dim=1).sum() == patch
    assert critic(images).shape == judge(images).squeeze(1).shape


def test_least_squares():
    critic = nn.Identity()
    real, made = torch.tensor([0.5, 1.0]), torch.tensor([0.25, 0.75], requires_grad=True)
    assert least_squares(real, True) == 0.125 and least_squares(made, False) == 0.3125
    loss = critic_loss(critic, real, made)
    # A critic's loss leaves the generator alone.
    assert loss == (0.125 + 0.3125) / 2 and not loss.requires_grad


def test_the_learning_rate_falls_in_the_second_half():
    rates = [decayed(0.2, step, 100) for step in (0, 49, 50, 75, 99)]
    assert rates == pytest.approx([0.2, 0.2, 0.2, 0.1, 0.004])


def numbered(first, count):
    """Images whose pixels are their number."""
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def numbers(images):
    return images[:, 0, 0, 0].int().tolist()


def test_a_pool_keeps_images_until_it_is_full_and_then_swaps_half_of_them():
    torch.manual_seed(0)
    pool, swaps = ImagePool(5, (1, 2, 2)), 0
    assert numbers(pool(numbered(1, 3))) == [1, 2, 3]
    first = numbers(pool(numbered(4, 3)))
    assert first[:2] == [4, 5] and len(first) == 3
    for turn in range(200):
        before, given = numbers(pool.images), numbered(10 + 4 * turn, 4)
        out = numbers(pool(given))
        # None is lost and none comes twice.
        assert sorted(out + numbers(pool.images)) == sorted(before + numbers(given))
        swaps += sum(one not in numbers(given) for one in out)
    assert 0.45 < swaps / 800 < 0.55


def test_a_pool_may_be_smaller_than_a_batch_or_of_none():
    torch.manual_seed(0)
    small, none = ImagePool(2, (1, 2, 2)), ImagePool(0, (1, 2, 2))
    for first in (1, 11, 21):
        out = numbers(small(numbered(first, 5)))
        assert out[2:] == [first + 2, first + 3, first + 4]
        assert numbers(none(numbered(first, 5))) == list(range(first, first + 5))
    small.clear()
    assert small.images.shape == (0, 1, 2, 2)


def test_simulated_slices_have_the_mean_intensities_of_the_tissues():
    slices = torch.rand(6, 2, 8, 8)
    tissue = torch.randint(0, 4, (6, 8, 8), dtype=torch.int16)
    halves = [
        Batch.of(slices[part], layers={"tissue": tissue[part]}) for part in ([0, 1, 2], [3, 4, 5])
    ]
    levels = tissue_levels(halves)
    for contrast in range(2):
        for label in (1, 2, 3):
            expected = slices[:, contrast][tissue == label].mean()
            torch.testing.assert_close(levels[contrast, label], expected)
    assert not levels[:, 0].any()
    found = simulate(tissue, levels, 0.0)
    assert torch.equal(found[:, 1], levels[1][tissue.long()])
    varied = simulate(tissue, levels, 0.05) / found - 1
    inside = varied[:, 0][tissue > 0]
    assert (
        0.02 < inside.std() < 0.08 and not simulate(tissue, levels, 0.05)[:, 0][tissue == 0].any()
    )


def test_a_training_set_without_a_tissue_is_refused():
    tissue = torch.ones(2, 8, 8, dtype=torch.int16)
    batch = Batch.of(torch.rand(2, 1, 8, 8), layers={"tissue": tissue})
    with pytest.raises(TrainingError, match="label 2, 3.*'segment_tissue'"):
        tissue_levels([batch])


def test_no_slice_gets_its_own_tissue():
    torch.manual_seed(0)
    tissue = torch.arange(4).view(4, 1, 1).expand(4, 2, 2)
    orders = {tuple(other_tissues(tissue)[:, 0, 0].tolist()) for _ in range(50)}
    assert orders == {(1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2)}
    alone = torch.tensor([[[1, 2], [3, 0]]])
    assert other_tissues(alone).tolist() == [[[2, 1], [0, 3]]]
