"""The same network with less to do: batch norms folded away, activations in place, thin layers."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from normscan.networks.thin import ThinInput, ThinOutput

M = TypeVar("M", bound=nn.Module)
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU)
# Their outputs are new tensors, which their own gradients do without.
FRESH = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm2d)


def simplify_for_inference(model: M) -> M:
    """A copy of a model in ``eval`` mode for inference, without parameter gradients.

    In every ``nn.Sequential`` a batch norm right after a (transposed) convolution goes into that
    convolution's weights, and an activation overwrites what the layer before it has computed. First
    and last layers of few channels are those of :mod:`normscan.networks.thin`. Outputs and
    gradients agree up to rounding.
    """
    folded = copy.deepcopy(model).eval()
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            _fold(module)
            _overwrite(module)
            _thin(module)
    return folded.requires_grad_(False)


def _fold(layers: nn.Sequential) -> None:
    names = list(layers._modules)
    for before, after in zip(names, names[1:]):
        convolution, norm = layers._modules[before], layers._modules[after]
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        if isinstance(convolution, (nn.Conv2d, nn.ConvTranspose2d)):
            transpose = isinstance(convolution, nn.ConvTranspose2d)
            layers._modules[before] = fuse_conv_bn_eval(convolution, norm, transpose)
            layers._modules[after] = nn.Identity()


def _overwrite(layers: nn.Sequential) -> None:
    """Activations in place, where the layer before made the tensor and needs it no more."""
    before = None
    for layer in layers:
        if isinstance(layer, ACTIVATIONS) and isinstance(before, FRESH):
            layer.inplace = True
        if not isinstance(layer, nn.Identity):
            before = layer


def _thin(layers: nn.Sequential) -> None:
    """Convolutions from or to few channels; the latter with the activation before them."""
    names = [name for name, layer in layers.named_children() if not isinstance(layer, nn.Identity)]
    for name, before in zip(names, ["", *names]):
        layer, activation = layers._modules[name], layers._modules.get(before)
        if isinstance(layer, nn.Conv2d) and ThinInput.replaces(layer):
            layers._modules[name] = ThinInput(layer)
        elif (
            isinstance(activation, nn.LeakyReLU)
            and isinstance(layer, nn.Conv2d)
            and activation.inplace
            and ThinOutput.replaces(activation, layer)
        ):
            layers._modules[before] = nn.Identity()
            layers._modules[name] = ThinOutput(activation, layer)
