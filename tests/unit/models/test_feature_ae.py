"""Feature autoencoder: features on one grid, their training and sizes, the similarity of them."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, flair, tensors
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional

from normscan.detectors import registry as detectors
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.networks.feature_layers import FeatureAutoencoder, FeatureLayers
from normscan.slices.batch import Batch
from normscan.training.loop import train

SMALL = {"feature_width": 4, "feature_steps": 5, "widths": [8, 12]}


def made(size=32, contrasts=1, **settings):
    return registry.build("feature_ae", (contrasts, contrasts, size), **{**SMALL, **settings})


def trained(slices, epochs=2, **settings):
    model, store = made(**settings), HeldBatch(slices)
    return model, train(model, store, store, seed=1, batch_size=8, max_epochs=epochs)


def weights(part):
    return {name: value.clone() for name, value in part.state_dict().items()}


def changed(part, before):
    return {
        name for name, value in part.state_dict().items() if not torch.equal(value, before[name])
    }


def dissimilarity(features, others):
    """1 - SSIM of each pair of maps (n, c, h, w), by Wang et al., Eq. 13."""

    def mean(maps):
        return gaussian_filter(maps, (0, 0, 1.5, 1.5), mode="reflect", radius=(0, 0, 2, 2))

    a, b = features.double().numpy(), others.double().numpy()
    x, y = mean(a), mean(b)
    variances = mean(a * a) - x * x + mean(b * b) - y * y
    similarity = (2 * (mean(a * b) - x * y) + 9e-4) / (variances + 9e-4)
    return 1 - similarity * (2 * x * y + 1e-4) / (x**2 + y**2 + 1e-4)


@pytest.fixture(scope="module")
def healthy():
    return flair(count=20, size=32)


def test_layers_lie_on_one_grid():
    layers = FeatureLayers(2, 32, 4).eval()
    slices = torch.rand(3, 2, 32, 32)
    first = layers.first(slices)
    second = layers.second(first)
    third = layers.third(second)
    assert [tuple(one.shape[1:]) for one in (first, second, third)] == [
        (4, 16, 16),
        (4, 8, 8),
        (8, 4, 4),
    ]
    found = layers(slices)
    assert found.shape == (3, layers.channels, 8, 8) and found.min() == 0
    torch.testing.assert_close(found[:, :4], functional.avg_pool2d(first, 2))
    torch.testing.assert_close(found[:, 4:8], second)
    # Coarser features keep their place: means over what a place of layer 2 covers.
    middle = functional.avg_pool2d(found[:, 8:], 2)
    assert np.corrcoef(middle.detach().flatten(), third.detach().flatten())[0, 1] > 0.9


def test_the_autoencoder_gives_back_what_has_the_same_shape():
    features = torch.rand(2, 16, 8, 8)
    assert FeatureAutoencoder(16, 8, [8, 12], 0.1)(features).shape == features.shape


def test_features_are_trained_first_and_then_kept(healthy):
    model = made()
    layers, autoencoder = weights(model.layers), weights(model.autoencoder)
    history = train(
        model, HeldBatch(healthy), HeldBatch(healthy), seed=1, batch_size=8, max_epochs=2
    )
    assert [row["phase"] for row in history][0] == "features"
    assert [row["phase"] for row in history][-1] == "main"
    assert changed(model.layers, layers) and changed(model.autoencoder, autoencoder)
    # What is trained in the second phase, alone: batch norms of the features stay as well.
    model = made(feature_steps=0)
    layers, autoencoder = weights(model.layers), weights(model.autoencoder)
    history = train(
        model, HeldBatch(healthy), HeldBatch(healthy), seed=1, batch_size=8, max_epochs=2
    )
    assert {row["phase"] for row in history} == {"main"}
    assert not changed(model.layers, layers) and changed(model.autoencoder, autoencoder)


def test_slices_can_be_painted_from_features(healthy):
    _, history = trained(healthy, epochs=1, feature_steps=60, learning_rate=2e-3)
    painted = [row["loss"] for row in history if row["phase"] == "features"]
    assert painted[-1] < 0.3 * painted[0]


def test_features_are_of_about_one_size(healthy):
    model, _ = trained(healthy)
    found = model.embed(tensors(healthy).slices)
    sizes = found.square().mean(dim=(0, 2, 3)).sqrt()
    heard = sizes > 0
    assert heard.any() and (model.scale[0, ~heard] == 1).all()
    torch.testing.assert_close(sizes[heard], torch.ones(int(heard.sum())), rtol=1e-4, atol=0)


def test_the_map_is_the_mean_dissimilarity_of_the_features():
    model = made(contrasts=2).eval()
    slices = torch.rand(2, 2, 32, 32)

    with torch.no_grad():
        one = model.embed(slices)
        other = model.autoencoder(one)
        energy = model.energy(slices)
    expected = dissimilarity(one, other).mean(axis=1)
    assert energy.shape == (2, 32, 32) and energy.min() >= 0
    # The middle of a place is that of its four innermost pixels.
    np.testing.assert_allclose(energy[:, 0, 0], expected[:, 0, 0], atol=1e-3)
    weight = np.outer([0.875, 0.125], [0.875, 0.125])
    inside = (weight * expected[:, 1:3, 1:3]).sum(axis=(1, 2))
    np.testing.assert_allclose(energy[:, 6, 6], inside, atol=1e-3)


def test_the_loss_is_of_windows_inside():
    model, slices = made().eval(), torch.rand(2, 1, 32, 32)
    batch = tensors(Batch.of(slices.numpy()))
    found = model.validation_loss("main", batch)
    features = model.embed(slices)
    expected = dissimilarity(features, model.autoencoder(features).detach())
    inside = expected[:, :, 2:-2, 2:-2].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found.detach(), inside, atol=1e-3)
    assert model.validation_loss("features", batch) is None


def test_features_that_are_given_back_have_no_energy():
    model = made().eval()
    model.autoencoder = nn.Identity()
    assert model.energy(torch.rand(2, 1, 32, 32)).abs().max() < 1e-5


def test_lesions_are_found_also_by_a_bank_of_these_features():
    model, store = made(64, feature_steps=20, learning_rate=2e-3), HeldBatch(flair(size=64))
    train(model, store, store, seed=1, batch_size=8, max_epochs=20, patience=20)
    bank = registry.build("feature_bank", (1, 1, 64), uses={"features": model}, bank_size=200)
    train(bank, store, store, seed=1)
    scan = flair(count=12, size=64, seed=2, lesions=True)
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    # A bank of features that were trained for so few steps tells less than their autoencoder.
    for one, least in ((model, 0.8), (bank, 0.65)):
        device = torch.device("cpu")
        detector = detectors.prepare("pixel_energy", one, device=device, contrasts=["FLAIR"])
        found = detector.detect(scan, 0)
        assert roc_auc_score(lesion[brain], found.map[brain]) > least


@pytest.mark.parametrize(
    ("size", "settings", "message"),
    [
        (32, {"window": 4}, "window: found 4; must be odd"),
        (32, {"window": 9}, "window: found 9; .* 8 x 8 places"),
        (32, {"widths": [4, 4, 4]}, "widths: found 3, .* 8 x 8 places"),
        (40, {"widths": [4, 4]}, "widths: found 2, .* 10 x 10 places"),
        (36, {}, "slices.size: found 36; these features take multiples of 8"),
    ],
)
def test_what_cannot_be_is_refused(size, settings, message):
    with pytest.raises(ConfigError, match=message):
        made(size, **settings)
