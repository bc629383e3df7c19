"""Structural dissimilarity of slices and their reconstruction, over an ensemble of scales.

Source: Behrendt et al. 2024, "Diffusion models with ensembled structure-based anomaly scoring for
unsupervised anomaly detection" (SSIM-ens): the structural similarity of Wang et al. 2004 in
Gaussian windows of ``kernel`` pixels and several standard deviations sigma, each pixel's scales
weighted by exp(-SSIM), so that those which see a difference count more. The score of a pixel is

    1 - sum_sigma w_sigma SSIM_sigma,    w_sigma = exp(-SSIM_sigma) / sum exp(-SSIM)

averaged over contrasts: 0 where input and reconstruction are equal, at most 2.

A structural similarity has no sign. The map has that of the plain residual at the same pixel (the
mean over contrasts of targets minus reconstruction): a prior keeps the very pixels that it keeps of
the detector ``reconstruction``, and the two differ in the score alone.

Assumed: sigmas at steps of 0.2 (the ends are given); weights are each contrast's own; intensities
of 1 are the largest (``data_range``), as of slices that are scaled by a percentile; beyond its
border a slice goes on mirrored, as in scikit-image. The measure is defined for intensities of at
least 0; of z-scores it is bounded as well, but its comparison of brightness means little.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import Detection, empty_arrays
from normscan.detectors.inference import batches, for_inference, suitable_size, with_sign
from normscan.errors import ConfigError
from normscan.models.capabilities import Reconstructs
from normscan.models.parts.structure import mirrored_with_edge, similarity_map
from normscan.slices.batch import Batch

TITLE = "the structural dissimilarity of the reconstruction over several scales"
CITE = {
    "behrendt2024": "Behrendt F, Bhattacharya D, Maack L, Krüger J, Opfer R, Mieling R, Schlaefer "
    "A. Diffusion models with ensembled structure-based anomaly scoring for unsupervised anomaly "
    "detection. IEEE International Symposium on Biomedical Imaging, 2024. "
    "https://arxiv.org/abs/2403.14262",
    "wang2004": "",
}
LINE = "dotted"
NEEDS = {"reconstruct"}
SETTINGS = {
    "kernel": 11,
    "sigmas": [0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7],
    "weights": "dissimilarity",
    "data_range": 1.0,
    "batch_size": None,
}
ALLOWED = {
    "kernel": "1..",
    "sigmas": "each >0..",
    "weights": ["dissimilarity", "equal"],
    "data_range": ">0..",
    "batch_size": "whole 1..",
}
TOGETHER = {
    "kernel % 2 == 1": "must be odd, so that it has a centre",
}
MEANING = {
    "kernel": "side of the window, odd [pixels]",
    "sigmas": "standard deviations of the window, one a scale [pixels]",
    "weights": "of the scales at a pixel: exp(-SSIM), or equal",
    "data_range": "largest intensity [units of intensity]",
}
# Noise is similar to nothing: only with a wide range scores of noise stay below residuals.
CHECKED_WITH = {"kernel": 5, "data_range": 100.0}
# For the check of all families, whose lesions have no structure of their own.
FINDS_FLAT = False
SIGNED = True
RESIDUAL = False


class StructuralResidual:
    """1 - SSIM of targets and ``model.reconstruct(slices)``; arguments as in ``detectors.base``.

    Raises
    ------
    ConfigError : a kernel of an even side.
    """

    def __init__(
        self,
        model: Reconstructs,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        kernel: int,
        sigmas: Sequence[float],
        weights: str,
        data_range: float,
        batch_size: int | None,
    ):
        if kernel % 2 == 0:
            raise ConfigError(f"kernel: found {kernel}; must be odd, so that it has a centre")
        self.model, self.device = for_inference(model, device), device
        self.kernel, self.sigmas, self.data_range = kernel, tuple(sigmas), data_range
        self.weighted = weights == "dissimilarity"
        self.size = suitable_size(batch_size, device)

    @torch.inference_mode()
    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The map, and the reconstruction."""
        scores, expectations = empty_arrays(scan)
        for where, batch in batches(scan, self.size, self.device):
            expected = self.model.reconstruct(batch.slices)
            score = structural_dissimilarity(
                batch.targets,
                expected,
                self.sigmas,
                kernel=self.kernel,
                weighted=self.weighted,
                data_range=self.data_range,
            ).mean(dim=1)
            residual = (batch.targets - expected).mean(dim=1)
            scores[where] = with_sign(score, residual).cpu().numpy()
            expectations[where] = expected.cpu().numpy()
        return Detection(scores, expectations)


def structural_dissimilarity(
    slices: Tensor,
    others: Tensor,
    sigmas: Sequence[float],
    *,
    kernel: int = 11,
    weighted: bool = True,
    data_range: float = 1.0,
) -> Tensor:
    """1 - SSIM around every pixel, a mean over scales (n, contrasts, height, width), in [0, 2].

    Parameters
    ----------
    slices, others : (n, contrasts, height, width).
    sigmas : standard deviations of the windows, in pixels; at least one.
    kernel : side of the windows in pixels, odd.
    weighted : by exp(-SSIM); otherwise all scales count alike.
    """
    x, y = (mirrored_with_edge(images, kernel // 2) for images in (slices, others))
    # Sums as they come: maps of all scales at once would be as large as a batch of features.
    total, weights = torch.zeros_like(slices), torch.zeros_like(slices)
    for sigma in sigmas:
        similarity = similarity_map(x, y, data_range, kernel, sigma)
        weight = (-similarity).exp() if weighted else torch.ones_like(similarity)
        total += weight * similarity
        weights += weight
    # Rounding may end a similarity above 1.
    return (1 - total / weights).clamp_min(0)


prepare = StructuralResidual
