"""What detection and screening share: a trained model with its detector, applied to scans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from normscan.detectors import registry as detectors
from normscan.files import load_nifti, save_nifti
from normscan.slices.index import PackIndex, ScanEntry, stack_volume
from normscan.training.bundle import check_fit, load_bundle


class Applied:
    """A detector with its settings and its model (None when it needs none)."""

    def __init__(self, detector: str, settings: dict[str, Any], seed: int, device):
        self.detector = detectors.load(detector)
        self.settings, self.seed, self.device = settings, seed, device
        self.model = None
        self.bundle: dict[str, Any] | None = None

    def load_model(self, weights: Path, description: Path) -> None:
        """Load the model. BundleError when its files are broken or do not fit each other."""
        self.model, self.bundle = load_bundle(weights, description, self.device)

    def refuse_other_scans(self, index: PackIndex) -> None:
        """BundleError when scans were preprocessed differently from the model's."""
        if self.bundle is not None:
            check_fit(self.bundle, index.fingerprint)

    def maps(self, slices: np.ndarray, index: PackIndex, scan: ScanEntry, folder: Path) -> dict:
        """Write the signed map and the reconstruction of one scan; their paths.

        Parameters
        ----------
        slices : memory-mapped pack (slices, contrasts, height, width).
        index : its index.
        scan : the scan's entry in it.
        folder : where the volumes go.
        """
        own = slices[scan.first : scan.first + scan.count]
        brain, affine = load_nifti(scan.brain, np.uint8)
        detection = self.detector.detect(
            self.model,
            own,
            scan.slices_of(brain) > 0,
            seed=self.seed,
            device=self.device,
            contrasts=list(index.contrasts),
            **self.settings,
        )
        folder.mkdir(parents=True, exist_ok=True)
        paths = {"map": folder / f"{scan.scan}_desc-anomaly_map.nii.gz"}
        save_nifti(paths["map"], stack_volume(detection.map, scan), affine, np.float32)
        if detection.reconstruction is not None:
            paths["reconstruction"] = folder / f"{scan.scan}_desc-reconstruction.nii.gz"
            volume = stack_volume(detection.reconstruction[:, 0], scan)
            save_nifti(paths["reconstruction"], volume, affine, np.float32)
        paths["input"] = folder / f"{scan.scan}_desc-input.nii.gz"
        save_nifti(paths["input"], stack_volume(own[:, 0], scan), affine, np.float32)
        return {name: str(path) for name, path in paths.items()}
