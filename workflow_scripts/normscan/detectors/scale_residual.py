"""Residual of a reconstruction, seen at several scales and put together.

Source: Baur et al. 2020, "Scale-space autoencoders for unsupervised anomaly segmentation in brain
MRI", as summed up in the thesis (Baur 2021, section 3.4.4): "aggregating residuals from multiple
scales" helps with lesions of varying size. How is not given there: here the residual is halved in
size again and again (smoothed, as in the Laplacian pyramid), brought back to full size, and the
absolute values of all scales are averaged; the sign is that of the mean residual.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import Detection, check_at_least, empty_arrays
from normscan.detectors.inference import (
    batches,
    for_inference,
    signed_score,
    suitable_size,
    with_sign,
)
from normscan.errors import ConfigError
from normscan.models.capabilities import Reconstructs
from normscan.models.parts.pyramid import expand, reduce
from normscan.slices.batch import Batch

TITLE = "the residual of the reconstruction, averaged over scales"
CITE = ["baurscale2020"]
LINE = "dashdot"
NEEDS = {"reconstruct"}
SETTINGS = {"levels": 3, "batch_size": None}
ALLOWED = {"levels": "1..", "batch_size": "whole 1.."}
TOGETHER = {
    "levels < 64 and size % 2 ** (levels - 1) == 0 and size >= 2**levels": "slices cannot be "
    "halved so often",
}
MEANING = {
    "levels": "scales, the first of which is that of the slices",
}
# For tests of all detectors, on slices of four pixels and more.
CHECKED_WITH = {"levels": 2}
SIGNED = True
# Smoothed: no longer what is missing at a pixel.
RESIDUAL = False


class ScaleResidual:
    """Targets minus ``model.reconstruct(slices)`` at all scales; as in ``detectors.base``."""

    def __init__(
        self,
        model: Reconstructs,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        levels: int,
        batch_size: int | None,
    ):
        self.model, self.device = for_inference(model, device), device
        self.levels = int(check_at_least("levels", levels, 1))
        self.size = suitable_size(batch_size, device)

    @torch.inference_mode()
    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The map, and the reconstruction.

        Raises
        ------
        ConfigError : slices that cannot be halved so often.
        """
        side = min(scan.targets.shape[2:])
        if side % 2 ** (self.levels - 1) or side < 2**self.levels:
            raise ConfigError(
                f"levels: found {self.levels}; slices of {side} pixels cannot be halved so often"
            )
        scores, expectations = empty_arrays(scan)
        for where, batch in batches(scan, self.size, self.device):
            expected = self.model.reconstruct(batch.slices)
            residual = batch.targets - expected
            scores[where] = over_scales(residual, self.levels).cpu().numpy()
            expectations[where] = expected.cpu().numpy()
        return Detection(scores, expectations)


def over_scales(residual: Tensor, levels: int) -> Tensor:
    """Signed scores (n, h, w): means over scales of absolute residuals (n, c, h, w)."""
    seen, coarse = [signed_score(residual)], residual
    for level in range(1, levels):
        coarse = reduce(coarse)
        full = coarse
        for _ in range(level):
            full = expand(full)
        seen.append(signed_score(full))
    found = torch.stack(seen)
    return with_sign(found.abs().mean(dim=0), found.mean(dim=0))


prepare = ScaleResidual
