"""What a trained model can do, as protocols: a family says which of them it has, a detector needs.

Slices are float32 tensors (n, channels, height, width), background 0. Models are in ``eval`` mode.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Reconstructs(Protocol):
    """``reconstruct``: the model's normal version of slices."""

    def reconstruct(self, slices: Tensor) -> Tensor:
        """What is expected of the targets (n, targets, height, width); deterministic."""
        ...


@runtime_checkable
class Samples(Protocol):
    """``sample``: stochastic reconstructions."""

    def encode(self, slices: Tensor) -> Any:
        """What is computed once: a tensor or a tuple of tensors, the first axis the slices."""
        ...

    def decode_sample(self, code: Any, generator: torch.Generator) -> Tensor:
        """One stochastic reconstruction from what :meth:`encode` gave.

        Parameters
        ----------
        generator : lives on the device of the code.
        """
        ...


@runtime_checkable
class Drops(Protocol):
    """``drop``: stochastic reconstructions by dropout, at a rate of the caller's choice."""

    def encode(self, slices: Tensor) -> Any:
        """As of :class:`Samples`."""
        ...

    def decode_sample(
        self, code: Any, generator: torch.Generator, dropout: float | None = None
    ) -> Tensor:
        """As of :class:`Samples`; ``dropout`` is the rate, None: as in training."""
        ...


@runtime_checkable
class Bounds(Protocol):
    """``elbo``: a negative evidence lower bound, differentiable in the slices."""

    def elbo_loss(self, slices: Tensor) -> Tensor:
        """The bound of each slice (n,)."""
        ...

    def elbo_parts(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """The bound in parts: what is expected, like ``slices``, and the rest (n,).

        The bound is the sum of absolute differences between slices and what is expected, plus the
        rest; with an attribute ``elbo_power`` of 2, the sum of their squares. Solvers that can
        treat these exactly ask for the parts.
        """
        ...


@runtime_checkable
class ScoresPixels(Protocol):
    """``energy``: how anomalous each pixel is."""

    def energy(self, slices: Tensor) -> Tensor:
        """Energies (n, height, width), high = anomalous."""
        ...


@runtime_checkable
class ScoresPixelsByFeature(Protocol):
    """``energy_by_feature``: how anomalous each pixel is by one kind of its features alone."""

    def energy_by_feature(self, slices: Tensor, kind: str) -> Tensor:
        """Energies (n, height, width), high = anomalous.

        Parameters
        ----------
        kind : ``translated``: how far contrasts are from what others predict; ``reduced``: a
            representation in fewer dimensions.

        Raises
        ------
        ConfigError : the model has no such features.
        """
        ...


@runtime_checkable
class DeviatesByPlace(Protocol):
    """``deviate``: how far pixels are from what is normal at their place in the grid.

    ``positions`` are those of the slices (n,), from 0, the lowest slice of the grid, to 1, as of
    :class:`~normscan.slices.batch.Batch`.
    """

    def expected_at(self, slices: Tensor, positions: Tensor) -> Tensor:
        """What is normal there (n, targets, height, width), 0 in the slices' background."""
        ...

    def deviations_at(self, slices: Tensor, positions: Tensor) -> Tensor:
        """Signed deviations (n, targets, height, width), in standard deviations of what is normal.

        Background is not treated otherwise, here and below.
        """
        ...

    def distances_at(self, slices: Tensor, positions: Tensor) -> Tensor:
        """Distances (n, height, width) by all contrasts together, at least 0 and, as deviations,
        relative to what is normal variation; of one contrast their absolute value.
        """
        ...

    def surprise_at(self, slices: Tensor, positions: Tensor) -> Tensor:
        """Negative log densities (n, height, width) by all contrasts together, at least 0, up to a
        constant that is the same for all slices and pixels.
        """
        ...


@runtime_checkable
class ScoresSlices(Protocol):
    """``score_slices``: how anomalous a slice is as a whole."""

    def score_slices(self, slices: Tensor) -> Tensor:
        """Scores (n,), high = anomalous."""
        ...


@runtime_checkable
class Segments(Protocol):
    """``segment``: how likely each pixel is to be a lesion."""

    def segment(self, slices: Tensor) -> Tensor:
        """Probabilities (n, height, width)."""
        ...


@runtime_checkable
class ClassifiesAnatomy(Protocol):
    """``classify_anatomy``: which normal anatomical class each pixel belongs to."""

    def classify_anatomy(self, slices: Tensor) -> Tensor:
        """Probabilities (n, 1 + classes, height, width), background first; they sum to 1."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """``embed``: features of pixels, or of places on a coarser grid."""

    def embed(self, slices: Tensor) -> Tensor:
        """Feature vectors (n, features, rows, columns)."""
        ...


@runtime_checkable
class EmbedsPatches(Protocol):
    """``embed_patches``: feature vectors of square patches, each of its own pixels only."""

    def patch_side(self) -> int:
        """Side of a patch in pixels, even."""
        ...

    def embed_patches(self, images: Tensor, stride: int = 1) -> Tensor:
        """Feature vectors (n, features, rows, columns) of the patches that lie inside of images.

        Parameters
        ----------
        images : as slices, but of any size from a patch's.
        stride : pixels between patches, a power of two; rows = (height - side) // stride + 1. The
            vector at (row, column) is that of the patch whose first pixel is (stride row,
            stride column).
        """
        ...


@runtime_checkable
class Quantises(Protocol):
    """``quantise``: slices as maps of codes, numbers of the entries of a codebook."""

    def code_grid(self) -> tuple[int, int, int]:
        """How many different codes there are; rows and columns of a map."""
        ...

    def code_maps(self, slices: Tensor) -> Tensor:
        """Codes (n, rows, columns), int64 from 0; deterministic."""
        ...

    def decode_codes(self, codes: Tensor) -> Tensor:
        """What maps of codes stand for (n, targets, height, width)."""
        ...


@runtime_checkable
class JudgesCodes(Protocol):
    """``code_likelihood``: how likely each code of a map is, given those before it, row by row."""

    def code_surprise(self, codes: Tensor) -> Tensor:
        """Negative log likelihood (nats) of each code (n, rows, columns), in one pass."""
        ...

    def resample_codes(self, codes: Tensor, thresholds: Tensor, uniforms: Tensor) -> Tensor:
        """Maps in which surprising codes are drawn anew, one after the other.

        Parameters
        ----------
        codes : (n, rows, columns).
        thresholds : nats, broadcast to the codes; a code whose negative log likelihood, given what
            was drawn before it, is above is drawn anew. -inf: always, inf: never.
        uniforms : (n, rows, columns), in [0, 1), one for each draw.
        """
        ...


@runtime_checkable
class Generates(Protocol):
    """``generate``: slices from codes, differentiable in the codes, and a prior of codes.

    Of a GAN the generator; a decoder whose codes have a prior fulfils it just as well.
    """

    def draw_codes(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes (count, ...) from the prior, on the generator's device."""
        ...

    def generate(self, codes: Tensor) -> Tensor:
        """Slices (n, targets, height, width) from codes (n, ...), each from its own code only."""
        ...


@runtime_checkable
class InfersCodes(Protocol):
    """``encode``: the codes of slices, which ``generate`` takes, as an encoder infers them.

    ``sample`` has an ``encode`` of its own, which may give anything; this is one code per slice,
    where a search for a better one can start.
    """

    def infer_codes(self, slices: Tensor) -> Tensor:
        """Codes (n, ...) of the slices, for a variational model their means; deterministic."""
        ...


@runtime_checkable
class Discriminates(Protocol):
    """``discriminate``: what a discriminator sees in slices."""

    def discriminator_features(self, slices: Tensor) -> Tensor:
        """Features (n, ...) of each slice on its own, differentiable in the slices."""
        ...


# The words of ``CAPABILITIES`` and ``NEEDS``.
PROTOCOLS: dict[str, type] = {
    "reconstruct": Reconstructs,
    "sample": Samples,
    "drop": Drops,
    "elbo": Bounds,
    "energy": ScoresPixels,
    "energy_by_feature": ScoresPixelsByFeature,
    "deviate": DeviatesByPlace,
    "score_slices": ScoresSlices,
    "segment": Segments,
    "classify_anatomy": ClassifiesAnatomy,
    "embed": Embeds,
    "embed_patches": EmbedsPatches,
    "quantise": Quantises,
    "code_likelihood": JudgesCodes,
    "generate": Generates,
    "encode": InfersCodes,
    "discriminate": Discriminates,
}
