"""How anomalous each pixel is to a model that scores pixels itself.

Source: Roth et al. 2022, section 3.3 (distances to a memory bank), for one; Kim et al. 2021,
section 2.2 (negative log likelihoods) and Fig. 6 (by one kind of features alone).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from normscan.detectors.base import Detection
from normscan.detectors.scored import Scored
from normscan.errors import ConfigError
from normscan.slices.batch import Batch

TITLE = "the energy of each pixel"
CITE = ["roth2022"]
LINE = "dashdot"
NEEDS = {"energy"}
NEEDED_FOR = {"features": "energy_by_feature"}
SETTINGS = {"batch_size": None, "features": None}
ALLOWED = {"batch_size": "whole 1..", "features": ["translated", "reduced"]}
MEANING = {
    "features": "kind of features that the energy is of; null: all that the model has",
}
SIGNED = False
RESIDUAL = False


class Energy(Scored):
    """``model.energy(slices)``, or by one kind of features; arguments as in ``detectors.base``."""

    def __init__(
        self,
        model: Any,
        *,
        device: torch.device,
        contrasts: Sequence[str],
        batch_size: int | None,
        features: str | None,
    ):
        super().__init__(model, device=device, contrasts=contrasts, batch_size=batch_size)
        self.energy = self.model.energy
        if features is not None:
            self.energy = partial(self.model.energy_by_feature, kind=features)

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The energies.

        Raises
        ------
        ConfigError : some are negative, so that their absolute values would be no scores.
        """
        found = self.scores(self.energy, scan)
        if (found < 0).any():
            raise ConfigError(
                f"energy: the model gives energies down to {found.min():g}; scores of maps are "
                "absolute values, so that a model's energies must start at 0"
            )
        return Detection(found)


prepare = Energy
