"""What detection and screening share: a trained model with its detector, applied to scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from normscan.detectors import registry as detectors
from normscan.detectors.base import Detector
from normscan.slices.batch import View
from normscan.slices.index import PackIndex
from normscan.slices.store import SliceStore
from normscan.streams import ALL
from normscan.training.bundle import ModelFacts, check_fit, load_bundle


def used_files(files: Any, roles: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Weights and bundle of the models in certain roles.

    Parameters
    ----------
    files : a rule's inputs, of which ``used_weights`` and ``used_bundles`` are in the order of the
        roles; they are not there where nothing is used.
    """
    pairs = zip(files.get("used_weights", []), files.get("used_bundles", []))
    return dict(zip(roles, pairs))


class Applied:
    """A detector with its models, prepared when it is first asked for scans or settings.

    Parameters
    ----------
    detector : its name.
    settings : of the detector.
    weights, bundle : files of the model; None where the detector needs none.
    used : role -> weights and bundle of further models that the detector uses.

    Attributes
    ----------
    signed : whether the sign of its maps tells brighter from darker than expected.
    bundles : descriptions of all models, the main one first.

    Raises
    ------
    BundleError : files of a model are broken or do not fit each other.
    """

    def __init__(
        self,
        detector: str,
        settings: Mapping[str, Any],
        device: torch.device,
        *,
        weights: str | Path | None = None,
        bundle: str | Path | None = None,
        used: Mapping[str, tuple[str | Path, str | Path]] | None = None,
    ):
        self.name, self.settings, self.device = detector, dict(settings), device
        described = detectors.describe(detector)
        self.layers, self.signed = described["layers"], described["signed"]
        self.bundles: list[dict[str, Any]] = []
        self.model = None if weights is None or bundle is None else self._load(weights, bundle)
        self.used = {role: self._load(*files) for role, files in (used or {}).items()}

    def _load(self, weights: str | Path, bundle: str | Path):
        model, description = load_bundle(Path(weights), Path(bundle), self.device)
        self.bundles.append(description)
        return model

    def refuse_other_scans(self, index: PackIndex) -> None:
        """BundleError when scans were preprocessed differently from a model's.

        A shard of which every scan was left out has no grid, and nobody to refuse.
        """
        for bundle in self.bundles if index.scans else ():
            check_fit(bundle, index.fingerprint)

    def view(self, contrasts: Sequence[str]) -> View:
        """What the detector sees of a pack with these contrasts: what its model does."""
        if self.model is None:
            return View.of(contrasts, layers=tuple(self.layers))
        own = ModelFacts.from_json(self.bundles[0])
        return View.of(contrasts, own.inputs, own.targets, own.neighbours, tuple(self.layers))

    def store(
        self,
        indices: Sequence[str | Path],
        contrasts: Sequence[str],
        scans: Iterable[str] | None = None,
        slices: str = ALL,
    ) -> SliceStore:
        """The slices of chosen scans (``cohort/scan``; None: all) as the detector sees them.

        Parameters
        ----------
        slices : ``all``, or the ``lesion_free`` ones: what healthy slices are of patients.
        """
        view = self.view(contrasts)
        return SliceStore(
            indices,
            scans,
            slices=slices,
            inputs=view.inputs,
            targets=view.targets,
            neighbours=view.neighbours,
            layers=view.layers,
        )

    def prepare(self, contrasts: Sequence[str], **found: Any) -> Detector:
        """The detector, ready for scans of packs with these contrasts.

        Parameters
        ----------
        found : settings that were found on healthy scans, over its own.
        """
        return detectors.prepare(
            self.name,
            self.model,
            device=self.device,
            contrasts=self.view(contrasts).targets,
            uses=self.used,
            **{**self.settings, **found},
        )
