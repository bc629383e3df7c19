"""How anomalous each pixel is to a model that scores pixels itself.

Source: Roth et al. 2022, section 3.3 (distances to a memory bank), for one.
"""

from __future__ import annotations

import numpy as np

from normscan.detectors.base import Detection
from normscan.detectors.scored import Scored
from normscan.errors import ConfigError
from normscan.slices.batch import Batch

TITLE = "the energy of each pixel"
CITE = ["roth2022"]
LINE = "dashdot"
NEEDS = {"energy"}
# batch_size: slices at once; None = what suits the device.
SETTINGS = {"batch_size": None}
ALLOWED = {"batch_size": "whole 1.."}
SIGNED = False
RESIDUAL = False


class Energy(Scored):
    """``model.energy(slices)``."""

    def detect(self, scan: Batch[np.ndarray], seed: int) -> Detection:
        """The energies.

        Raises
        ------
        ConfigError : some are negative, so that their absolute values would be no scores.
        """
        found = self.scores(self.model.energy, scan)
        if (found < 0).any():
            raise ConfigError(
                f"energy: the model gives energies down to {found.min():g}; scores of maps are "
                "absolute values, so that a model's energies must start at 0"
            )
        return Detection(found)


prepare = Energy
