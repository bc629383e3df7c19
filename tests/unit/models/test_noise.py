"""Coarse noise against closed forms and SciPy."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.ndimage import gaussian_filter

from normscan.models.parts import noise


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def like(count=1, channels=1, size=31):
    return torch.zeros(count, channels, size, size)


@pytest.fixture
def unrolled(monkeypatch):
    monkeypatch.setattr(noise, "_rolled", lambda like, side, _: torch.arange(side)[None])


def test_grid_noise_has_its_deviation_at_the_grid_and_half_of_it_between(unrolled):
    """Every other pixel of 31 is one of 16 points; the mean of four has half their deviation."""
    drawn = noise.grid_noise(like(500, 2), 16, 0.2, seeded())
    assert drawn[..., ::2, ::2].std().item() == pytest.approx(0.2, rel=0.02)
    assert drawn[..., 1::2, 1::2].std().item() == pytest.approx(0.1, rel=0.02)
    between = (drawn[..., :-2:2, ::2] + drawn[..., 2::2, ::2]) / 2
    torch.testing.assert_close(drawn[..., 1::2, ::2], between, atol=1e-5, rtol=0)


def test_channels_and_slices_of_grid_noise_are_independent(unrolled):
    points = noise.grid_noise(like(2, 2), 16, 1.0, seeded())[..., ::2, ::2].reshape(4, -1)
    correlation = np.corrcoef(points.numpy()) - np.eye(4)
    assert np.abs(correlation).max() < 5 / 16


def test_grid_noise_is_rolled_by_a_shift_of_each_slice():
    size, count = 11, 40
    rolled = noise.grid_noise(like(count, 2, size), 5, 1.0, seeded(3))
    drawn = noise.functional.interpolate(
        torch.randn(count, 2, 5, 5, generator=seeded(3)),
        (size, size),
        mode="bilinear",
        align_corners=True,
    )
    shifts = set()
    for one, plain in zip(rolled, drawn):
        fits = [
            (down, right)
            for down in range(size)
            for right in range(size)
            if torch.equal(one, plain.roll((down, right), (1, 2)))
        ]
        assert len(fits) == 1
        shifts.update(fits)
    assert len(shifts) > count / 2
    assert {down for down, _ in shifts} == {right for _, right in shifts} == set(range(size))


def test_smooth_fields_have_unit_variance_everywhere():
    count, radius = 6000, 4.0
    white = torch.randn(count, 1, 12, 12, generator=seeded(1))
    fields = noise.smooth_fields(white, torch.full((count,), radius))
    assert fields.mean().abs() < 0.05
    # Five deviations of a variance that is estimated from so many.
    torch.testing.assert_close(
        fields.var(dim=0), torch.ones(1, 12, 12), atol=5 * (2 / count) ** 0.5, rtol=0
    )


@pytest.mark.parametrize("radius", [1.0, 2.5])
def test_smooth_fields_are_gaussian_filtered(radius):
    """But for their scale, where the Gaussian lies inside; slices have radii of their own."""
    white = torch.randn(2, 1, 40, 48, generator=seeded(2))
    found = noise.smooth_fields(white, torch.tensor([5.0, radius]))[1, 0, 14:-14, 14:-14]
    expected = gaussian_filter(white[1, 0].double().numpy(), radius, truncate=5)[14:-14, 14:-14]
    # Squares of a Gaussian's taps add up to 1 / (2 sqrt(pi) sigma), along both axes.
    scale = 2 * np.sqrt(np.pi) * radius
    np.testing.assert_allclose(found.numpy(), scale * expected, atol=2e-3)


def test_blobs_are_where_the_form_is_above_its_threshold():
    drawn = noise.blob_noise(like(400, 1, 32), 5.0, seeded(4))
    # The mean over t ~ U(0, 2) of the share of a normal field that lies below t.
    threshold = np.linspace(0, 2, 1001)
    expected = np.trapezoid(stats.norm.cdf(threshold), threshold) / 2
    assert (drawn == 0).float().mean().item() == pytest.approx(expected, abs=0.02)
    assert drawn.mean().abs() < 0.05
    shares = (drawn == 0).float().mean(dim=(1, 2, 3))
    assert shares.min() < 0.6 and shares.max() > 0.95


def test_blobs_are_in_the_same_place_in_all_channels_and_differ_in_strength():
    first, second = noise.blob_noise(like(30, 2, 32), 17.0, seeded(5)).unbind(1)
    assert torch.equal(first == 0, second == 0)
    inside = first != 0
    assert abs(np.corrcoef(first[inside], second[inside])[0, 1]) < 0.5
    assert (first[inside] * second[inside] < 0).any()


@pytest.mark.parametrize("draw", [lambda x, g=None: noise.grid_noise(x, 8, 0.2, g),
                                  lambda x, g=None: noise.blob_noise(x, 6.0, g)])  # fmt: skip
def test_noise_follows_its_generator_or_the_global_one(draw):
    slices = like(3, 2, 16)
    state = torch.random.get_rng_state()
    one, same, other = draw(slices, seeded(1)), draw(slices, seeded(1)), draw(slices, seeded(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one, same) and not torch.equal(one, other)
    torch.manual_seed(1)
    assert torch.equal(draw(slices), one)
    assert len({tuple(each.flatten().tolist()) for each in one}) == 3
