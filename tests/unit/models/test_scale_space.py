"""Laplacian pyramids against their definition, and the models on them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from normscan.errors import ConfigError
from normscan.models import registry
from normscan.models.parts.pyramid import TAPS, collapse, expand, laplacian_pyramid, reduce
from normscan.slices.batch import Batch


@pytest.fixture
def images():
    return torch.rand(3, 2, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_the_inverse_pyramid_is_exact(images, levels):
    bands = laplacian_pyramid(images, levels)
    assert [band.shape[-1] for band in bands] == [32 // 2**level for level in range(levels)]
    torch.testing.assert_close(collapse(bands), images, rtol=0, atol=1e-14)


def test_smoothing_is_that_of_scipy(images):
    kernel = np.outer(TAPS, TAPS)[None, None]
    expected = correlate(images.numpy(), kernel, mode="mirror")
    np.testing.assert_allclose(reduce(images), expected[..., ::2, ::2], atol=1e-12)


def test_even_images_have_no_detail_and_keep_their_level(images):
    even = torch.full_like(images, 0.7)
    *fine, coarse = laplacian_pyramid(even, 3)
    for band in fine:
        # Mirrored at even sides, the last column's neighbours are of another phase.
        torch.testing.assert_close(band[..., :-4, :-4], torch.zeros_like(band[..., :-4, :-4]))
    torch.testing.assert_close(coarse, torch.full_like(coarse, 0.7))
    wide = expand(even)[..., :-4, :-4]
    torch.testing.assert_close(wide, torch.full_like(wide, 0.7))


def made(family, **settings):
    small = {"latent": 4, "levels": 2, **settings}
    return registry.build(family, (1, 1, 32), seed=1, **small).eval()


def test_each_level_sees_its_band_and_no_other():
    model = made("scale_space_ae")
    slices = torch.rand(2, 1, 32, 32)
    fine, coarse = laplacian_pyramid(slices, 2)
    with torch.no_grad():
        bands = [
            decode(encode(band)[0])
            for encode, decode, band in zip(model.encoders, model.decoders, (fine, coarse))
        ]
        torch.testing.assert_close(model.reconstruct(slices), collapse(bands))


@pytest.mark.parametrize(("weights", "expected"), [([1.0], [1, 1]), ([2.0, 0.5, 9.0], [2, 0.5])])
def test_the_loss_is_the_weighted_sum_of_the_levels_errors(weights, expected):
    model = made("scale_space_ae", level_weights=weights)
    slices = torch.rand(3, 1, 32, 32)
    bands = laplacian_pyramid(slices, 2)
    with torch.no_grad():
        found = model.losses(Batch.of(slices))
        errors = [
            (band - decode(encode(band)[0])).abs().sum() / 3
            for encode, decode, band in zip(model.encoders, model.decoders, bands)
        ]
        error = (slices - model.reconstruct(slices)).abs().mean()
    total = sum(weight * one for weight, one in zip(expected, errors))
    torch.testing.assert_close(found["loss"], total)
    torch.testing.assert_close(found["reconstruction"], error)


def test_samples_of_a_vae_are_drawn_at_every_level():
    model, slices = made("scale_space_vae"), torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        code = model.encode(slices)
        assert len(code) == 4
        one, same, other = (
            model.decode_sample(code, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(one, same) and not torch.equal(one, other)
        still = tuple(
            part if place % 2 == 0 else torch.full_like(part, -1e9)
            for place, part in enumerate(code)
        )
        drawn = model.decode_sample(still, torch.Generator())
    torch.testing.assert_close(drawn, model.reconstruct(slices))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"levels": 7}, "levels: found 7"), ({"level_weights": []}, "level_weights: found none")],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        made("scale_space_ae", **settings)
