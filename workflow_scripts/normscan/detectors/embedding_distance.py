"""Distance between embeddings of patches around a pixel, of the input and its reconstruction.

Source: Kobayashi et al. 2021, section II-C: the abnormality score of the centre pixel of a patch p
is d(f(p), f(p')), the L2 distance between the embeddings of p and of the patch p' of the
reconstruction at the same place. The scores of an image are standardised to z-scores, and only what
is inside of the body counts (III-C.6). Their image is a slice (II-A), and so is it here; mean and
deviation are those of the pixels inside of the mask.

Maps hold absolute scores, and z-scores are negative for half of the pixels: the map is
log(1 + exp(z)), which is z where z is high, never negative, and keeps the order, so that rates at
all thresholds and areas under curves are those of z. Outside of the mask it is 0. Where all scores
are equal, z is 0. ``standardise: none`` leaves distances as they are.

Patches have even sides; the centre of one is the pixel below and right of its middle. Beyond its
border an image goes on mirrored, which the paper does not say. With a ``stride`` above 1 only every
so many pixels have a score; the grid lies centrally, and between its places scores are interpolated
bilinearly.

``search_steps`` improves the code that the model's encoder infers before slices are compared, by
gradient steps down the squared error of the reconstruction (II-B3; in the paper 100 steps of 0.001;
:mod:`normscan.detectors.searching`).

A model that embeds patches gives all patches of an image at once (``embed_patches``), so that what
overlapping patches have in common is computed once. Images are cut into tiles of ``TILE`` x
``TILE`` patches: what is embedded at once does not grow with slices or batches, and tiles without a
pixel of the mask are left out. Tiles and batches change nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from normscan.detectors.base import BRAIN, Detection, empty_arrays
from normscan.detectors.inference import (
    count_batches,
    each_batch,
    for_inference,
    suitable_size,
)
from normscan.detectors.searching import search_codes
from normscan.errors import ConfigError
from normscan.models.capabilities import EmbedsPatches, InfersCodes
from normscan.progress import progress
from normscan.slices.batch import Batch

TITLE = "the distance between patch embeddings of input and reconstruction"
CITE = ["kobayashi2021"]
LINE = "dotted"
NEEDS = {"reconstruct"}
USES = {"metric": {"embed_patches"}}
COST = 2.0
SETTINGS: dict[str, Any] = {
    "stride": 1,
    "standardise": "slice",
    "search_steps": None,
    "learning_rate": 1e-3,
    "batch_size": None,
}
ALLOWED = {
    "stride": "whole 1..",
    "standardise": ["slice", "none"],
    "search_steps": "whole 1..",
    "learning_rate": ">0..",
    "batch_size": "whole 1..",
}
TOGETHER = {
    "stride & (stride - 1) == 0": "must be a power of two",
}
MEANING = {
    "stride": "between scores, a power of two; those between are interpolated [pixels]",
    "standardise": "z-scores of each slice, or the distances as they are",
    "search_steps": "of the search for a better code; null: no search",
    "learning_rate": "step size of that search",
}
NEEDED_FOR = {"search_steps": "encode"}
SIGNED = False
RESIDUAL = False
# A deviation of so little against the mean is rounding.
EQUAL = 1e-6
# Patches of a tile, in both directions: of 64 x 64, a fifth of the arithmetic is done twice.
TILE = 64
# Patches embedded at once: of some hundred features each, 100 MB on a CPU, for each of its threads.
AT_ONCE = {"cpu": TILE**2, "cuda": 32 * TILE**2}


class EmbeddingDistance:
    """Distances of patches; arguments as in ``detectors.base``.

    Raises
    ------
    ConfigError : the stride is no power of two, or larger than a patch; a search with a model whose
        encoder infers no codes.
    """

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        uses: Mapping[str, Any],
        stride: int,
        standardise: str,
        search_steps: int | None,
        learning_rate: float,
        batch_size: int | None,
    ):
        self.model, self.device = for_inference(model, device), device
        self.metric: EmbedsPatches = for_inference(uses["metric"], device)
        side = self.metric.patch_side()
        if stride < 1 or stride & (stride - 1) or stride > side:
            raise ConfigError(
                f"stride: found {stride}; must be a power of two and at most {side}, the side of "
                "a patch"
            )
        self.stride, self.standardise = stride, standardise
        if search_steps is not None and not isinstance(model, InfersCodes):
            raise ConfigError(
                f"search_steps: found {search_steps}; the model has no encoder that infers codes"
            )
        self.search_steps, self.learning_rate = search_steps, learning_rate
        self.size = suitable_size(batch_size, device)

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The map, and the reconstruction."""
        scores, expectations = empty_arrays(scan)

        def compute(where: slice, batch: Batch[Tensor]) -> tuple[Tensor, Tensor]:
            expected, inside = self._expected(batch), batch.layers[BRAIN] > 0
            # The mode is one of a thread.
            with torch.inference_mode():
                found = patch_distances(self.metric, batch.targets, expected, inside, self.stride)
                if self.standardise == "slice":
                    found = functional.softplus(standardised(found, inside))
                return found * inside, expected

        found = each_batch(compute, scan, self.size, self.device)
        for where, (score, expected) in progress(
            found, "distances of patches", count_batches(scan, self.size)
        ):
            scores[where], expectations[where] = score.cpu().numpy(), expected.cpu().numpy()
        return Detection(scores, expectations)

    def _expected(self, batch: Batch[Tensor]) -> Tensor:
        """Reconstructions, of the codes that were found if there is a search."""
        if self.search_steps is None:
            with torch.inference_mode():
                return self.model.reconstruct(batch.slices)
        steps, rate = self.search_steps, self.learning_rate
        return search_codes(
            self.model, batch.targets, steps=steps, learning_rate=rate, inputs=batch.slices
        )


def patch_distances(
    metric: EmbedsPatches,
    slices: Tensor,
    expected: Tensor,
    inside: Tensor,
    stride: int = 1,
    tile: int = TILE,
) -> Tensor:
    """L2 distance between embeddings of the patches around each pixel (n, height, width).

    Parameters
    ----------
    slices, expected : (n, channels, height, width); larger than half a patch.
    inside : (n, height, width) bool, where distances are wanted; elsewhere they may be 0.
    stride : pixels between patches, a power of two, at most a patch; in between interpolated.
    tile : most patches in a row that are embedded together.
    """
    side = metric.patch_side()
    grid = [-(-length // stride) for length in slices.shape[2:]]
    # No larger than images are, and such that a network's poolings divide it.
    tile = min(tile, 1 << (max(grid) - 1).bit_length())
    counts = [-(-length // tile) for length in grid]
    pairs = torch.stack([slices, expected], dim=1)
    windows = _windows(pairs, side, stride, tile, counts)
    wanted = _wanted(inside, stride, tile, counts)
    chosen = windows[wanted]
    distances = slices.new_zeros(*wanted.shape, tile, tile)
    at_once = max(AT_ONCE.get(slices.device.type, AT_ONCE["cpu"]) // tile**2, 1)
    found = [_distance(metric, part, stride) for part in chosen.split(at_once)]
    if found:
        distances[wanted] = torch.cat(found)
    whole = distances.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return _at_every_pixel(whole[:, : grid[0], : grid[1]], stride, slices.shape[2:])


def _windows(pairs: Tensor, side: int, stride: int, tile: int, counts: Sequence[int]) -> Tensor:
    """What the tiles see: (n, 2, c, h, w) -> (n, rows, columns, 2, c, length, length), a view."""
    # The first patch's centre lies in the middle of its ``stride`` pixels, or half a pixel after.
    before = (side - stride + 1) // 2
    shift, length = stride * tile, stride * (tile - 1) + side
    ends = [
        (count - 1) * shift + length - before - own for count, own in zip(counts, pairs.shape[3:])
    ]
    flat = pairs.flatten(1, 2)
    # As far as a patch of a pixel reaches; what is beyond is of no pixel.
    reach = [min(end, (side + stride) // 2) for end in ends]
    flat = functional.pad(flat, (before, reach[1], before, reach[0]), mode="reflect")
    flat = functional.pad(flat, (0, ends[1] - reach[1], 0, ends[0] - reach[0]))
    found = flat.unfold(2, length, shift).unfold(3, length, shift)
    return found.permute(0, 2, 3, 1, 4, 5).unflatten(3, (2, -1))


def _wanted(inside: Tensor, stride: int, tile: int, counts: Sequence[int]) -> Tensor:
    """Which tiles (n, rows, columns) matter to a pixel inside."""
    shift = stride * tile
    # Interpolation reaches from a place to those next to it.
    near = functional.max_pool2d(inside[:, None].float(), 2 * stride - 1, 1, stride - 1)
    rows, columns = (count * shift - own for count, own in zip(counts, inside.shape[1:]))
    filled = functional.pad(near, (0, columns, 0, rows))
    return functional.max_pool2d(filled, shift).squeeze(1) > 0


def _distance(metric: EmbedsPatches, pairs: Tensor, stride: int) -> Tensor:
    """(m, 2, c, length, length) -> (m, tile, tile)."""
    own, others = metric.embed_patches(pairs.transpose(0, 1).flatten(0, 1), stride).chunk(2)
    return torch.linalg.vector_norm(own - others, dim=1)


def _at_every_pixel(coarse: Tensor, stride: int, size: Sequence[int]) -> Tensor:
    """(n, rows, columns) -> (n, height, width)."""
    if stride == 1:
        return coarse
    fine = functional.interpolate(
        coarse[:, None], scale_factor=stride, mode="bilinear", align_corners=False
    )
    return fine[:, 0, : size[0], : size[1]]


def standardised(scores: Tensor, inside: Tensor) -> Tensor:
    """Z-scores (n, h, w) by each slice's mean and deviation inside; 0 where all are equal.

    Parameters
    ----------
    inside : (n, h, w) bool. Pixels elsewhere get what comes out.
    """
    values, weights = scores.flatten(1).double(), inside.flatten(1).double()
    count = weights.sum(dim=1, keepdim=True).clamp_min(1)
    mean = (values * weights).sum(dim=1, keepdim=True) / count
    variance = ((values - mean).square() * weights).sum(dim=1, keepdim=True) / count
    deviation = variance.sqrt()
    flat = deviation <= EQUAL * mean.abs()
    found = torch.where(flat, 0.0, (values - mean) / deviation.masked_fill(flat, 1))
    return found.view_as(scores).to(scores.dtype)


prepare = EmbeddingDistance
