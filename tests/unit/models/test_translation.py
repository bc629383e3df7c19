"""The U-Net, and contrasts that are predicted from others."""

import numpy as np
import pytest
import torch
from made_brains import HeldBatch, made_brains, tensors
from sklearn.metrics import roc_auc_score

from normscan.detectors import registry as detectors
from normscan.errors import ConfigError
from normscan.models import registry
from normscan.networks import registry as networks
from normscan.networks.folding import simplify_for_inference
from normscan.slices.batch import Batch
from normscan.training.loop import train

SMALL = {"depth": 2, "width": 4}


def unet(inputs=1, outputs=1, size=16, **settings):
    return networks.load("unet").make_image_to_image(inputs, outputs, size, **(SMALL | settings))


def translated(count=24, neighbours=False, **options):
    """T1w as inputs, FLAIR as targets."""
    slices, layers = made_brains(count, **options)
    return Batch(slices[:, :1], slices[:, 1:], layers)


def test_the_published_unet_has_31_million_parameters():
    """As commonly counted (31.03 million of one input and two outputs), and those of batch norm."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in unet(1, 2, 128, depth=4, width=64).parameters())
    assert parameters == pytest.approx(31.04e6, rel=1e-3)


@pytest.mark.parametrize(("inputs", "outputs", "size"), [(1, 1, 16), (3, 2, 32), (2, 1, 20)])
def test_images_keep_their_size(inputs, outputs, size):
    network, images = unet(inputs, outputs, size), torch.rand(2, inputs, size, size)
    found, features = network(images), network.features(images)
    assert found.shape == (2, outputs, size, size) and features.shape == (2, 4, size, size)
    torch.testing.assert_close(network.head(features), found)


@pytest.mark.parametrize(("size", "depth"), [(18, 2), (4, 3), (24, 4)])
def test_sizes_that_do_not_fit_name_the_key_and_what_does(size, depth):
    with pytest.raises(ConfigError, match=f"slices.size: found {size}.*multiples of {2**depth}"):
        unet(size=size, depth=depth)


def test_a_unet_that_never_halves_is_refused():
    with pytest.raises(ConfigError, match="depth, width: found 0, 4"):
        unet(depth=0)


def test_every_scale_reaches_the_output():
    """Detail goes across, and what is far away comes in by the coarsest scale."""
    torch.manual_seed(0)
    network, images = unet(depth=3, size=64).eval(), torch.rand(1, 1, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(images)[0, 0, 32, 32], images)
    seen = gradient[0, 0].abs() > 0
    # Two 3x3 convolutions at full size each way see 9 pixels; one place of 1/8 sees far more.
    assert seen[32, 32] and seen.any(dim=0).sum() > 40
    for part in network.parameters():
        assert torch.autograd.grad(network(images).sum(), part)[0].any()


def test_folding_a_unet_changes_nothing_but_rounding():
    network, images = unet().train(), torch.rand(4, 1, 16, 16)
    for _ in range(3):
        network(images)
    with torch.no_grad():
        expected = network.eval()(images)
        torch.testing.assert_close(simplify_for_inference(network)(images), expected)


def test_it_is_the_targets_that_are_predicted():
    model = registry.build("translation", (1, 1, 16), **SMALL).eval()
    batch = tensors(translated(5))
    error = (batch.targets - model.reconstruct(batch.slices)).abs()
    torch.testing.assert_close(model.losses(batch)["loss"], error.mean())
    torch.testing.assert_close(model.validation_loss("main", batch), error.mean(dim=(1, 2, 3)))


def test_neighbours_and_several_targets():
    model = registry.build("translation", (6, 2, 16), **SMALL).eval()
    assert model.reconstruct(torch.rand(3, 6, 16, 16)).shape == (3, 2, 16, 16)


def test_lesions_that_only_the_target_shows_are_found():
    model = registry.build("translation", (1, 1, 16), seed=1, learning_rate=1e-2, **SMALL)
    options = {"batch_size": 8, "max_epochs": 40, "patience": 40}
    held_out = translated(8, seed=1)
    train(model, HeldBatch(translated()), HeldBatch(held_out), seed=1, **options)
    device, scan = torch.device("cpu"), translated(12, seed=2, lesions=True)
    ready = detectors.prepare("reconstruction", model, device=device, contrasts=["FLAIR"])
    found = ready.detect(scan, 0)
    np.testing.assert_allclose(found.map, (scan.targets - found.reconstruction)[:, 0], atol=1e-6)
    brain, lesion = scan.layers["brain"] > 0, scan.layers["lesion"] > 0
    assert roc_auc_score(lesion[brain], found.map[brain]) > 0.95
    # Better than the best constant image of the healthy ones.
    constant = np.abs(held_out.targets - np.median(translated().targets, axis=0)).mean()
    assert np.abs(ready.detect(held_out, 0).map).mean() < 0.8 * constant
