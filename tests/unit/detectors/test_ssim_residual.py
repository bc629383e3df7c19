"""Structural dissimilarity over scales, against scikit-image and SciPy."""

import numpy as np
import pytest
import torch
from fake_models import Convolutional, detect
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from normscan.detectors.ssim_residual import structural_dissimilarity
from normscan.errors import ConfigError
from normscan.models.parts.structure import mirrored_with_edge

SIGMAS = (0.3, 0.9, 1.7)


class Turned(torch.nn.Module):
    """Gives slices back upside down: as often too bright as too dark."""

    def reconstruct(self, slices):
        return slices.flip(2)


@pytest.fixture
def scan():
    slices = np.random.default_rng(0).random((3, 1, 24, 20), dtype=np.float32)
    return slices, np.ones((3, 24, 20), bool)


def pairs(count=2, contrasts=2, size=20):
    random = np.random.default_rng(1)
    one = gaussian_filter(random.random((count, contrasts, size, size)), (0, 0, 1, 1))
    other = one + 0.1 * random.standard_normal(one.shape)
    return one.astype(np.float32), other.astype(np.float32)


def by_scipy(one, other, sigma):
    """SSIM of two images with a window of 11 pixels, by Wang et al., Eq. 13."""

    def mean(image):
        return gaussian_filter(image, sigma, mode="reflect", radius=5)

    one, other = one.astype(float), other.astype(float)
    x, y = mean(one), mean(other)
    covariance = mean(one * other) - x * y
    variances = mean(one**2) - x**2 + mean(other**2) - y**2
    found = (2 * x * y + 1e-4) / (x**2 + y**2 + 1e-4)
    return found * (2 * covariance + 9e-4) / (variances + 9e-4)


def test_one_sigma_is_that_of_scikit_image_up_to_the_border(scan):
    slices, brain = scan
    found = detect("ssim_residual", Convolutional(), slices, brain, sigmas=[1.5])
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for own, expected, map_ in zip(slices, found.reconstruction, found.map):
        _, similarity = structural_similarity(
            own[0].astype(float), expected[0].astype(float), data_range=1.0, full=True, **options
        )
        np.testing.assert_allclose(np.abs(map_), 1 - similarity, atol=1e-5)
        assert similarity.min() < 0.5


@pytest.mark.parametrize("weighted", [False, True])
def test_scales_count_by_how_dissimilar_they_are(weighted):
    one, other = pairs()
    found = structural_dissimilarity(
        torch.from_numpy(one), torch.from_numpy(other), SIGMAS, weighted=weighted
    )
    for number in np.ndindex(one.shape[:2]):
        scales = np.stack([by_scipy(one[number], other[number], sigma) for sigma in SIGMAS])
        weights = np.exp(-scales) if weighted else np.ones_like(scales)
        expected = 1 - np.average(scales, axis=0, weights=weights)
        np.testing.assert_allclose(found[number], expected, atol=2e-4)


def test_weights_raise_the_score():
    one, other = map(torch.from_numpy, pairs())
    equal = structural_dissimilarity(one, other, SIGMAS, weighted=False)
    weighted = structural_dissimilarity(one, other, SIGMAS)
    assert (weighted >= equal - 1e-6).all() and (weighted - equal).max() > 0.01


def test_equal_images_have_no_score_and_opposite_ones_at_most_two():
    one = torch.from_numpy(pairs()[0])
    assert structural_dissimilarity(one, one, SIGMAS).max() < 1e-5
    found = structural_dissimilarity(one, -one, SIGMAS)
    assert 1 < found.max() <= 2


def test_the_sign_is_that_of_the_plain_residual(scan):
    model = Turned()
    plain = detect("reconstruction", model, *scan)
    found = detect("ssim_residual", model, *scan)
    np.testing.assert_array_equal(np.sign(found.map), np.sign(plain.map))
    assert (found.map < 0).any() and (found.map > 0).any()


def test_structure_counts_where_brightness_is_equal():
    """A patch of stripes around the same grey: the mean residual says nothing, the map does."""
    slices = torch.full((1, 1, 32, 32), 0.5)
    striped = slices.clone()
    striped[..., 10:22, 10:22:2] += 0.1
    striped[..., 10:22, 11:22:2] -= 0.1
    found = structural_dissimilarity(striped, slices, [1.5])[0, 0]
    assert found[14:18, 14:18].min() > 0.5 and found[:4].max() < 1e-4


@pytest.mark.parametrize("reach", [2, 5, 11])
def test_borders_are_mirrored_as_numpy_does(reach):
    image = np.random.default_rng(0).random((4, 3), dtype=np.float32)
    expected = np.pad(image, reach, mode="symmetric")
    np.testing.assert_array_equal(mirrored_with_edge(torch.from_numpy(image), reach), expected)


def test_a_kernel_has_a_centre(scan):
    with pytest.raises(ConfigError, match="kernel: found 4; must be odd"):
        detect("ssim_residual", Convolutional(), *scan, kernel=4)
