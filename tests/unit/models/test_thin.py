"""Frozen layers of few channels against the layers that they stand for."""

import pytest
import torch
from torch import nn

from normscan.networks.folding import simplify_for_inference
from normscan.networks.thin import ThinInput, ThinOutput
from normscan.networks.unified import Encoder


@pytest.fixture(autouse=True)
def _random():
    torch.manual_seed(0)


def gradients(network, images):
    """Outputs, and the gradient at the images of a weighted sum of them."""
    leaf = images.clone().requires_grad_()
    found = network(leaf)
    weights = torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found)
    (gradient,) = torch.autograd.grad((weights * found).sum(), leaf)
    return found.detach(), gradient


@pytest.mark.parametrize("contrasts", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "height", "width"),
    [
        (5, 2, 2, 16, 20),
        (4, 2, 1, 16, 16),
        (3, 2, 1, 16, 16),
        (2, 2, 0, 8, 8),
        (4, 4, 0, 16, 16),
        (7, 4, 3, 16, 16),
        (5, 3, 1, 15, 15),
        # Here strides do not fill the images, and the usual gradient is taken.
        (5, 2, 2, 17, 16),
        (3, 2, 0, 16, 16),
    ],
)
def test_input_gradient_of_a_strided_convolution(contrasts, kernel, stride, padding, height, width):
    layer = nn.Conv2d(contrasts, 6, kernel, stride, padding).double().requires_grad_(False)
    assert ThinInput.replaces(layer)
    images = torch.rand(2, contrasts, height, width, dtype=torch.double)
    for found, expected in zip(gradients(ThinInput(layer), images), gradients(layer, images)):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("few", [1, 2])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_activation_and_projection_to_few_channels(few, memory_format):
    activation = nn.LeakyReLU(0.3)
    layer = nn.Conv2d(8, few, 1).double().requires_grad_(False)
    assert ThinOutput.replaces(activation, layer)
    thin = ThinOutput(activation, layer)
    features = torch.randn(3, 8, 6, 5, dtype=torch.double).contiguous(memory_format=memory_format)

    def overwritable(images):
        return thin(1 * images)

    expected = gradients(nn.Sequential(activation, layer), features)
    for found, wanted in zip(gradients(overwritable, features), expected):
        torch.testing.assert_close(found, wanted)
    with torch.inference_mode():
        torch.testing.assert_close(overwritable(features), expected[0])


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 4, 3, padding=1),
        nn.Conv2d(8, 4, 5, stride=2, padding=2),
        nn.Conv2d(1, 4, 5, stride=(2, 1), padding=2),
        nn.Conv2d(1, 4, 5, stride=2, padding=(2, 1)),
        nn.Conv2d(2, 4, 5, stride=2, padding=2, groups=2),
        nn.Conv2d(1, 4, 3, stride=2, dilation=2),
        nn.Conv2d(1, 4, 5, stride=2, padding=2, padding_mode="reflect"),
        nn.ConvTranspose2d(1, 4, 5, stride=2),
    ],
)
def test_other_first_layers_stay(layer):
    assert not ThinInput.replaces(layer)


@pytest.mark.parametrize(
    ("activation", "layer"),
    [
        (nn.ReLU(), nn.Conv2d(8, 1, 1)),
        (nn.LeakyReLU(0.0), nn.Conv2d(8, 1, 1)),
        (nn.LeakyReLU(0.3), nn.Conv2d(8, 16, 1)),
        (nn.LeakyReLU(0.3), nn.Conv2d(8, 1, 3, padding=1)),
        (nn.LeakyReLU(0.3), nn.Conv2d(8, 1, 1, stride=2)),
        (nn.LeakyReLU(0.3), nn.Conv2d(8, 1, 1, padding=1)),
        (nn.LeakyReLU(0.3), nn.Conv2d(8, 2, 1, groups=2)),
        (nn.LeakyReLU(0.3), nn.Linear(8, 1)),
    ],
)
def test_other_last_layers_stay(activation, layer):
    assert not ThinOutput.replaces(activation, layer)


def test_networks_for_inference_have_them_where_they_can():
    encoder = simplify_for_inference(Encoder(2, 32))
    assert isinstance(encoder[0], ThinInput) and encoder.channels == 64
    last = [nn.ConvTranspose2d(4, 4, 2, stride=2), nn.LeakyReLU(0.3), nn.Conv2d(4, 1, 1)]
    assert isinstance(simplify_for_inference(nn.Sequential(*last))[-1], ThinOutput)
    # Nothing here may be overwritten: it is the network's input.
    assert isinstance(simplify_for_inference(nn.Sequential(*last[1:]))[-1], nn.Conv2d)
