"""Frozen first and last layers: few channels on one side, so their time is that of memory.

On a CPU the usual operations take a tenth of a restoration's time for these two layers, with 1 % of
its arithmetic (benchmarks/README.md). Both modules here are for inference: no gradients of weights.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# More channels than contrasts of one examination: there the usual operations are good.
FEW = 4


class ThinInput(nn.Module):
    """A strided convolution of few channels; its input gradient is computed at the coarse grid.

    Of the gradient's pixels those with the same place within a stride come from the same weights:
    they are the channels of one convolution without stride, which are then put in their places.
    """

    weight: Tensor
    bias: Tensor | None
    turned: Tensor

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        self.stride, self.padding = convolution.stride[0], int(convolution.padding[0])
        self.register_buffer("weight", convolution.weight.detach())
        self.register_buffer("bias", _detached(convolution.bias))
        self.register_buffer("turned", _turned(self.weight, self.stride, self.padding))

    @staticmethod
    def replaces(layer: nn.Module) -> bool:
        """Whether this module can stand for the layer."""
        return (
            isinstance(layer, nn.Conv2d)
            and layer.in_channels <= FEW
            and layer.stride[0] == layer.stride[1] > 1
            and layer.padding == (layer.padding[0],) * 2
            and layer.dilation == (1, 1)
            and layer.groups == 1
            and layer.padding_mode == "zeros"
        )

    def forward(self, images: Tensor) -> Tensor:
        """(n, few, h, w) -> (n, filters, h / stride, w / stride)."""
        given = (images, self.weight, self.bias, self.stride, self.padding)
        if images.device.type == "cpu" and all(map(self._divides, images.shape[2:])):
            return _ThinInput.apply(self.turned, *given)
        return F.conv2d(*given)

    def _divides(self, side: int) -> bool:
        """Whether the outputs are as many as strides fit into the side."""
        outputs = (side + 2 * self.padding - self.weight.shape[-1]) // self.stride + 1
        return outputs * self.stride == side


class _ThinInput(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, turned: Tensor, *given: Any) -> Tensor:
        ctx.turned, ctx.stride = turned, given[3]
        return F.conv2d(*given)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        coarse = F.conv2d(gradient, ctx.turned, padding=ctx.turned.shape[-1] // 2)
        return None, F.pixel_shuffle(coarse, ctx.stride), None, None, None, None


def _turned(weight: Tensor, stride: int, padding: int) -> Tensor:
    """Weights (few * stride^2, filters, k, k) that give the input gradient at the coarse grid.

    Pixel ``stride * i + place`` is reached from output ``i + offset`` with the tap
    ``place + padding - stride * offset`` of the kernel.
    """
    filters, few, size, _ = weight.shape
    reach = max((padding + stride - 1) // stride, -((padding - size + 1) // stride))
    place = torch.arange(stride)[:, None]
    offset = torch.arange(-reach, reach + 1)[None, :]
    tap = place + padding - stride * offset
    # An additional tap of zeros for outputs that do not reach a pixel.
    padded = F.pad(weight, (0, 1, 0, 1))
    tap[(tap < 0) | (tap >= size)] = size
    # filters, few, place, offset, place, offset
    found = padded[:, :, tap[:, :, None, None], tap[None, None, :, :]]
    return found.permute(1, 2, 4, 0, 3, 5).reshape(few * stride**2, filters, *offset.shape[1:] * 2)


class ThinOutput(nn.Module):
    """Leaky ReLU, in place, and a 1x1 convolution to few channels.

    The gradients of both are computed slice by slice, so that the second finds in the cache what
    the first has written.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, activation: nn.LeakyReLU, convolution: nn.Conv2d):
        super().__init__()
        self.slope = activation.negative_slope
        self.register_buffer("weight", convolution.weight.detach())
        self.register_buffer("bias", _detached(convolution.bias))

    @staticmethod
    def replaces(activation: nn.Module, convolution: nn.Module) -> bool:
        """Whether this module can stand for the two layers."""
        return (
            isinstance(activation, nn.LeakyReLU)
            # What the gradient asks is the sign of the output.
            and activation.negative_slope > 0
            and isinstance(convolution, nn.Conv2d)
            and convolution.out_channels <= FEW
            and convolution.kernel_size == (1, 1)
            and convolution.stride == (1, 1)
            and convolution.padding == (0, 0)
            and convolution.groups == 1
        )

    def forward(self, features: Tensor) -> Tensor:
        """(n, channels, h, w), which is overwritten -> (n, few, h, w)."""
        suits = features.is_contiguous(memory_format=torch.channels_last)
        if suits and features.device.type == "cpu":
            flat = self.weight.flatten(1)
            return _ThinOutput.apply(features, flat, self.bias, self.slope)[0]
        return F.conv2d(F.leaky_relu(features, self.slope), self.weight, self.bias)


class _ThinOutput(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, slope: float
    ) -> tuple[Tensor, Tensor]:
        F.leaky_relu_(features, slope)
        ctx.mark_dirty(features)
        ctx.save_for_backward(features, weight)
        ctx.slope = slope
        ctx.set_materialize_grads(False)
        n, _, height, width = features.shape
        found = F.linear(_pixels(features), weight, bias)
        return found.view(n, height, width, len(weight)).permute(0, 3, 1, 2), features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: None) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        found = torch.empty_like(features)
        pixels, outer = _pixels(found), _pixels(gradient)
        count = features[0, 0].numel()
        for own, back, activated in zip(
            pixels.split(count), outer.split(count), _pixels(features).split(count)
        ):
            if len(weight) == 1:
                torch.mul(back, weight, out=own)
            else:
                torch.mm(back, weight, out=own)
            torch.ops.aten.leaky_relu_backward.grad_input(
                own, activated, ctx.slope, True, grad_input=own
            )
        return found, None, None, None


def _pixels(images: Tensor) -> Tensor:
    """Images (n, c, h, w) in channels_last as pixels (n * h * w, c), without a copy."""
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()
