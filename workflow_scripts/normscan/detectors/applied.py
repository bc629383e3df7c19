"""What detection and screening share: a trained model with its detector, applied to scans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normscan.detectors import registry as detectors
from normscan.detectors.base import Detection
from normscan.slices.index import PackIndex
from normscan.training.bundle import check_fit, load_bundle


class Applied:
    """A detector with its settings and its model (None when it needs none).

    Parameters
    ----------
    contrasts : names of the channels of the slices it is applied to.
    """

    def __init__(
        self,
        detector: str,
        settings: dict[str, Any],
        seed: int,
        device,
        contrasts: Sequence[str] = (),
    ):
        self.detector = detectors.load(detector)
        self.settings, self.seed, self.device = settings, seed, device
        self.contrasts = list(contrasts)
        self.model = None
        self.bundle: dict[str, Any] | None = None

    def load_model(self, weights: Path, description: Path) -> None:
        """Load the model. BundleError when its files are broken or do not fit each other."""
        self.model, self.bundle = load_bundle(weights, description, self.device)

    def refuse_other_scans(self, index: PackIndex) -> None:
        """BundleError when scans were preprocessed differently from the model's."""
        if self.bundle is not None:
            check_fit(self.bundle, index.fingerprint)

    def detect(self, slices: np.ndarray, brain: np.ndarray) -> Detection:
        """What the detector finds in one scan.

        Parameters
        ----------
        slices : float32 (n, contrasts, height, width).
        brain : bool (n, height, width).
        """
        return self.detector.detect(
            self.model,
            slices,
            brain,
            seed=self.seed,
            device=self.device,
            contrasts=self.contrasts,
            **self.settings,
        )
