"""How far each pixel is from what is normal at its place: z-scores, distances, -log p.

Source: voxelwise comparison with a group of healthy people, as in statistical parametric mapping
(Friston et al. 1994). Of one contrast the map is its z-score. Of several it is the Mahalanobis
distance, with the sign of the mean z-score, so that priors of bright or dark lesions apply; of one
contrast both are the same. Outside of the brain it is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from normscan.detectors.base import BRAIN, Detection, empty_arrays
from normscan.detectors.inference import batches, for_inference, suitable_size, with_sign
from normscan.errors import ConfigError, NormscanError
from normscan.models.capabilities import DeviatesByPlace
from normscan.slices.batch import Batch

TITLE = "the deviation from what is normal at each voxel"
CITE = {"friston1994": ""}
LINE = "dashed"
EXPECTED = "normal mean"
NEEDS = {"deviate"}
COST = 0.5
SETTINGS = {"score": "distance", "contrast": None, "batch_size": None}
ALLOWED = {
    "score": ["distance", "log_p"],
    "contrast": "a contrast",
    "batch_size": "whole 1..",
}
TOGETHER = {
    "score == 'distance' or contrast is None": "must be distance, of a single contrast",
}
MEANING = {
    "score": "the distance, or -log p but for a constant, which also asks how usual variation is "
    "at that place",
    "contrast": "whose z-score is the map; null: all of them together",
}
SIGNED = True
RESIDUAL = False


class NormativeZ:
    """Deviations by place; arguments as in ``detectors.base``.

    Raises
    ------
    ConfigError : a contrast that the slices lack, or one together with ``log_p``.
    """

    def __init__(
        self,
        model: DeviatesByPlace,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        score: str,
        contrast: str | None,
        batch_size: int | None,
    ):
        if contrast is not None and contrast not in contrasts:
            raise ConfigError(
                f"contrast: found '{contrast}', but the model sees {', '.join(contrasts)}"
            )
        if contrast is not None and score != "distance":
            raise ConfigError(
                f"score: found '{score}' of the single contrast {contrast}; leave contrast out, or "
                "write distance"
            )
        self.model, self.device = for_inference(model, device), device
        self.channel = None if contrast is None else list(contrasts).index(contrast)
        self.score, self.size = score, suitable_size(batch_size, device)

    @torch.inference_mode()
    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The map, and what is expected.

        Raises
        ------
        NormscanError : the slices have no positions.
        """
        scores, expectations = empty_arrays(scan)
        for where, batch in batches(scan, self.size, self.device):
            if batch.position is None:
                raise NormscanError("slices without positions: what is normal depends on the place")
            found = self._scores(batch.slices, batch.position) * (batch.layers[BRAIN] > 0)
            scores[where] = found.cpu().numpy()
            expected = self.model.expected_at(batch.slices, batch.position)
            expectations[where] = expected.cpu().numpy()
        return Detection(scores, expectations)

    def _scores(self, slices: Tensor, positions: Tensor) -> Tensor:
        deviations = self.model.deviations_at(slices, positions)
        if self.channel is not None:
            return deviations[:, self.channel]
        judge = self.model.distances_at if self.score == "distance" else self.model.surprise_at
        return with_sign(judge(slices, positions), deviations.mean(dim=1))


prepare = NormativeZ
