"""One-class SVM of single pixels: intensities of all contrasts that healthy brains do not have.

Source: Schölkopf et al. 2001, "Estimating the support of a high-dimensional distribution", Eqs. 3.9
to 3.12, as Kim et al. 2021 compare with it (supplement III-A): a pixel is the vector of its
contrasts' intensities, background is left out, the kernel is exp(-gamma d^2) with ``gamma`` 1 over
the number of contrasts, and ``nu`` (an upper bound of the share of training pixels that lie
outside) is 5e-4 for BraTS, 6e-4 for ISLES. Solved by LIBSVM in scikit-learn. With coefficients a
of the support vectors s and the offset rho,

    decision(x) = sum_i a_i exp(-gamma |x - s_i|^2) - rho        below 0: outside
    energy(x)   = -log(sum_i a_i exp(-gamma |x - s_i|^2) / sum_i a_i)

The energy falls as the decision rises, so that both order pixels alike; it is at least 0, since a
mean of similarities is at most 1, and still tells pixels apart whose similarity to everything is 0
in 32 bits. Otherwise than there: trained on ``samples`` pixels that are drawn at random from all
slices, not on all of them (26 million for BraTS), so that time and memory do not grow with the
training set; solved to a tolerance that is relative (``TOLERANCE``): LIBSVM's is absolute, in units
of the sum of the coefficients (nu times the pixels), and so gets looser as there are fewer pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from sklearn.svm import OneClassSVM
from torch import Tensor

from normscan.models.base import BaseModel, Batches
from normscan.models.parts.bank import draw_vectors
from normscan.models.parts.pixels import brain_pixels, pixels
from normscan.slices.batch import SliceShape

TITLE = "one-class SVM of pixels"
CITE = {
    "scholkopf2001": "Schölkopf B, Platt JC, Shawe-Taylor J, Smola AJ, Williamson RC. Estimating "
    "the support of a high-dimensional distribution. Neural Computation 13(7):1443–1471, 2001. "
    "https://doi.org/10.1162/089976601750264965"
}
LOOK = "density"
COST = 0.1
CAPABILITIES = {"energy"}
LAYERS = {"brain"}
SETTINGS = {"nu": 5e-4, "gamma": None, "samples": 50000, "batch_size": 64}
ALLOWED = {"nu": ">0..1", "gamma": ">0..", "samples": "2..", "batch_size": "1.."}
MEANING = {
    "nu": "largest share of training pixels that may lie outside",
    "gamma": "of the kernel exp(-gamma d²); null: 1 over the number of contrasts",
    "samples": "that it is fitted to, drawn at random from all slices [pixels]",
}
CHECKED_WITH = {"nu": 0.05, "samples": 2000}
# Of the sum of the coefficients; LIBSVM's 1e-3 is this for 2 million pixels at the usual nu.
TOLERANCE = 1e-6
# MB that the solver keeps of the kernel matrix.
CACHE = 500
# Pixels at once, and their pairs with support vectors, which stay in a processor's cache.
PIXELS, PAIRS = 2**10, 2**18


class Model(BaseModel):
    """Support vectors (k, contrasts), their coefficients (k,), and the offset."""

    phases = ("fit",)
    FITTED = frozenset({"support", "coefficients"})
    support: Tensor
    coefficients: Tensor
    offset: Tensor

    def __init__(
        self,
        shape: SliceShape,
        *,
        nu: float = 5e-4,
        gamma: float | None = None,
        samples: int = 50000,
        **settings: Any,
    ):
        super().__init__(shape, **settings)
        self.nu, self.samples = nu, samples
        self.gamma = 1 / shape.inputs if gamma is None else gamma
        self.register_buffer("support", torch.zeros(1, shape.inputs))
        self.register_buffer("coefficients", torch.ones(1))
        self.register_buffer("offset", torch.zeros(()))

    def limits(self, phase: str) -> dict[str, int]:
        return {"max_epochs": 0}

    def finish_phase(self, phase: str, batches: Batches) -> dict[str, float] | None:
        """Fit; ``outside``: the share of its pixels that lie outside, at most ``nu``."""
        found = draw_vectors(_brain_vectors(batches), self.samples)
        solver = OneClassSVM(
            gamma=self.gamma,
            nu=self.nu,
            tol=TOLERANCE * self.nu * len(found),
            cache_size=CACHE,
        ).fit(found.double().cpu().numpy())
        for name, values in (
            ("support", solver.support_vectors_),
            ("coefficients", solver.dual_coef_[0]),
            ("offset", solver.offset_[0]),
        ):
            setattr(self, name, torch.as_tensor(values).to(self.offset))
        # Only those outside have the largest coefficient; many others lie at the very boundary.
        return {
            "pixels": float(len(found)),
            "support_vectors": float(len(self.support)),
            "outside": float((self.coefficients == 1).sum()) / len(found),
        }

    def energy(self, slices: Tensor) -> Tensor:
        """Energies (n, size, size), at least 0."""
        return self.energies(pixels(slices)).view(len(slices), *slices.shape[-2:])

    def decision(self, vectors: Tensor) -> Tensor:
        """The decision function (n,) of intensities (n, contrasts), below 0 outside."""
        return self.coefficients.sum() * (-self.energies(vectors)).exp() - self.offset

    def energies(self, vectors: Tensor) -> Tensor:
        """Energies (n,) of intensities (n, contrasts)."""
        # -gamma |x - s|^2 = 2 gamma x.s - gamma |s|^2 - gamma |x|^2: one product for all pairs.
        weights = (self.coefficients / self.coefficients.sum()).log()
        constants = weights - self.gamma * self.support.square().sum(dim=1)
        directions = 2 * self.gamma * self.support.T
        lengths = self.gamma * vectors.square().sum(dim=1)
        # Powers of two divide the usual slices: their parts are the same in any batch.
        rows = 2 ** int(math.log2(max(1, min(PIXELS, PAIRS // len(self.support)))))
        similarity = [
            torch.addmm(constants, part, directions).logsumexp(dim=1)
            for part in vectors.split(rows)
        ]
        # Below 0 by rounding only.
        return (lengths - torch.cat(similarity)).clamp(min=0)


def _brain_vectors(batches: Batches) -> Iterator[Tensor]:
    for batch in batches():
        yield brain_pixels(batch)
