"""Embeddings of patches by a small residual network, of one patch or of every patch of an image.

Source: Kobayashi et al. 2021, section III-C.4: residual blocks of two [convolution, batch norm,
ReLU] with 64, 128, 256 and 512 filters, a max pooling after each halves the side; a multilayer
perceptron with one hidden layer of 1024 makes a vector of 256 entries from a patch of 32 x 32. The
paper also says "two sequential residual blocks", which does not go with four numbers of filters and
a pooling after each; four blocks are taken. Not given, assumed: kernels, padding, shortcuts (1 x 1
with batch norm, as He et al. 2016), ReLU in the perceptron. First weights are those of He et al.
2015, as there.

**Every patch at once.** A map wants the embedding of the patch around every pixel. Neighbouring
patches share nearly all of their pixels, so features should be computed once for all of them. This
is exact only if nothing in the network knows where a patch ends: zeros that a convolution pads a
patch with are other values in the patch next to it. After three blocks of padded 3 x 3
convolutions such zeros reach every feature of a 32 x 32 patch, and nothing could be shared. So
here no convolution pads. Those of 3 x 3 then make the side smaller; as many are 3 x 3 as a patch
has room for (:func:`kernels`), the others 1 x 1. Of 32 x 32 they are both of the first block and
one each of the second and third; sides go 32, 28, 14, 12, 6, 4, 2, 2, 1. Places near the border of
an image are for the caller to pad.

Poolings halve the grid, so a patch one pixel further is on another grid. Each pooling is applied at
both offsets in both directions; its four results ("fragments") go on as images of their own through
the same layers, and are put in their places at the end (Giusti et al. 2013, "Fast image scanning
with deep max-pooling convolutional neural networks"). That computes the same as convolutions with
holes and poolings without stride, on many small, dense images, for which convolutions are fast.
With a stride, the first poolings keep their first fragment only: a stride of 4 takes about a tenth
of the time of 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from normscan.errors import ConfigError
from normscan.networks.layers import full_precision
from normscan.networks.normalisation import BatchNorm

# 3 x 3 convolutions of a block: none, the first, both.
PAIRS = ((1, 1), (3, 1), (3, 3))


def kernels(patch: int, blocks: int) -> list[tuple[int, int]]:
    """Kernels of both convolutions of each block: as many 3 x 3 as a patch has room for.

    All sides are even before a pooling, so that every pixel of the patch counts. Of equally many
    the choice is that of the earliest.

    Raises
    ------
    ConfigError : the side of a patch cannot be halved so often.
    """
    if patch % 2**blocks:
        raise ConfigError(
            f"patch: found {patch}; must be a multiple of {2**blocks}, since {blocks} poolings "
            "halve it (one for each number of filters)"
        )
    choices = [list(one) for one in product(PAIRS, repeat=blocks) if _last_side(patch, one)]
    return max(choices, key=lambda one: (sum(map(sum, one)), one))


def _last_side(patch: int, pairs: Sequence[tuple[int, int]]) -> int:
    """Side of a patch after all blocks; 0: it does not go through them evenly."""
    side = patch
    for pair in pairs:
        side -= sum(pair) - 2
        if side < 2 or side % 2:
            return 0
        side //= 2
    return side


class Block(nn.Module):
    """Two convolutions without padding, batch norms and ReLU, beside a shortcut of the middle."""

    def __init__(self, inputs: int, outputs: int, pair: tuple[int, int]):
        super().__init__()
        first, second = pair
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, first, bias=False),
            BatchNorm(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, second, bias=False),
            BatchNorm(outputs),
        )
        same = inputs == outputs
        self.shortcut = nn.Sequential(
            *([] if same else [nn.Conv2d(inputs, outputs, 1, bias=False), BatchNorm(outputs)])
        )
        self.reach = (first + second - 2) // 2

    def forward(self, features: Tensor) -> Tensor:
        height, width = (side - 2 * self.reach for side in features.shape[2:])
        middle = features.narrow(2, self.reach, height).narrow(3, self.reach, width)
        # In place: no layer needs its output for gradients.
        return self.main(features).add_(self.shortcut(middle)).relu_()


class PatchNetwork(nn.Module):
    """Images (n, channels, h, w) -> embeddings of the patches inside (n, length, rows, columns).

    Parameters
    ----------
    filters : of each block.
    hidden, length : entries of the perceptron's hidden layer and of an embedding.

    Raises
    ------
    ConfigError : a patch whose side cannot be halved so often.
    """

    def __init__(self, channels: int, patch: int, filters: Sequence[int], hidden: int, length: int):
        super().__init__()
        self.patch, pairs = patch, kernels(patch, len(filters))
        widths = zip([channels, *filters], filters, pairs)
        self.blocks = nn.ModuleList(Block(*one) for one in widths)
        side = _last_side(patch, pairs)
        self.perceptron = nn.Sequential(
            nn.Conv2d(filters[-1], hidden, side), nn.ReLU(), nn.Conv2d(hidden, length, 1)
        )
        self.apply(_initialise)

    def forward(self, images: Tensor, stride: int = 1) -> Tensor:
        """Embeddings of all patches that lie inside of the images.

        Parameters
        ----------
        images : of one patch's side or larger.
        stride : pixels between patches, a power of two; the first patch is at the first pixel.

        Returns
        -------
        embeddings : (n, length, rows, columns), rows = (h - patch) // stride + 1.

        Raises
        ------
        ConfigError : another stride.
        """
        if stride < 1 or stride & (stride - 1):
            raise ConfigError(f"stride: found {stride}; must be a power of two")
        wanted = [(side - self.patch) // stride + 1 for side in images.shape[2:]]
        coarse = 2 ** len(self.blocks)
        # Of a single patch every pooling has one fragment that counts.
        own = coarse if max(wanted) == 1 else min(stride, coarse)
        images = self._whole(images, own)
        split = 0
        for number, block in enumerate(self.blocks):
            images = block(images)
            if 2 ** (number + 1) <= own:
                images = functional.max_pool2d(images, 2)
            else:
                images, split = fragments(images), split + 1
        found = joined(full_precision(self.perceptron(images)), split)
        skip = max(stride // own, 1)
        return found[:, :, ::skip, ::skip][:, :, : wanted[0], : wanted[1]]

    def _whole(self, images: Tensor, stride: int) -> Tensor:
        """Images with as many zeros below and on the right that all fragments are alike."""
        alike = 2 ** len(self.blocks) // stride
        height, width = (
            (math.ceil(((side - self.patch) // stride + 1) / alike) * alike - 1) * stride
            + self.patch
            for side in images.shape[2:]
        )
        right, below = width - images.shape[3], height - images.shape[2]
        return functional.pad(images, (0, right, 0, below))


def fragments(features: Tensor) -> Tensor:
    """Max pooling of 2 x 2 at its four offsets: (n, c, h, w) -> (4 n, c, (h - 1)/2, (w - 1)/2).

    Parameters
    ----------
    features : of odd height and width.
    """
    # At all offsets together; then those of each grid.
    pooled = functional.max_pool2d(features, 2, 1)
    parts = [pooled[:, :, down::2, right::2] for down in (0, 1) for right in (0, 1)]
    return torch.cat(parts)


def joined(features: Tensor, split: int) -> Tensor:
    """Images of fragments: (4^split n, c, h, w) -> (n, c, 2^split h, 2^split w)."""
    for _ in range(split):
        height, width = features.shape[2:]
        parts = features.unflatten(0, (2, 2, -1)).permute(2, 3, 4, 0, 5, 1)
        features = parts.reshape(*parts.shape[:2], 2 * height, 2 * width)
    return features


def _initialise(module: nn.Module) -> None:
    """Weights of He et al. 2015, biases 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
