"""Scans and cohorts as plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONTRASTS = ("T1w", "T2w", "FLAIR", "T1ce", "PD", "DWI")
ROLES = ("healthy", "patients", "unlabelled")
PRIORS = ("none", "hyperintense", "hypointense")


@dataclass(frozen=True)
class Scan:
    """One subject in one session with all its contrasts: the unit of processing.

    Attributes
    ----------
    cohort : name of the cohort.
    subject, session : labels without ``sub-`` and ``ses-``; session "" when there is none.
    images : contrast -> path.
    brain_mask : path, "" when there is none.
    lesion_mask : path of a label map (0 = healthy), "" when there is none.
    anatomy : path of a label map of anatomical classes (0 = none of them), "" when there is none.
    covariates : further columns of the subject (age, sex).
    odd : what a person should know of how its files were found.
    """

    cohort: str
    subject: str
    session: str = ""
    images: dict[str, str] = field(default_factory=dict)
    brain_mask: str = ""
    lesion_mask: str = ""
    anatomy: str = ""
    covariates: dict[str, Any] = field(default_factory=dict)
    odd: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """``sub-01`` or ``sub-01_ses-2``."""
        session = f"_ses-{self.session}" if self.session else ""
        return f"sub-{self.subject}{session}"


def label(text: str | None) -> str:
    """The label that a name gives: its letters and digits."""
    return re.sub(r"[^A-Za-z0-9]", "", text or "")


def labels_of(classes: Mapping[str, Any]) -> set[int]:
    """All labels of classes, each of which has one or a list of them."""
    groups = [one if isinstance(one, list) else [one] for one in classes.values()]
    return {int(label) for group in groups for label in group}


@dataclass(frozen=True)
class Cohort:
    """A set of scans with one role.

    Attributes
    ----------
    role : ``healthy``, ``patients`` or ``unlabelled``.
    prior : sign of what is sought: ``none``, ``hyperintense`` or ``hypointense``.
    skull_stripped : whether the images show brains only.
    space : atlas in whose space the scans already are, "" for native space.
    lesion_classes : class -> label or labels of the mask; empty: every label but 0.
    ignored_labels : labels of no class that may occur; their voxels count on neither side.
    anatomy_classes : class -> label or labels of the label maps of anatomy, in the order in which
        models number the classes (from 1); empty: the cohort has no such maps.
    warnings : what is odd about how its scans were found; each names scan or subject.
    """

    name: str
    role: str
    prior: str = "none"
    skull_stripped: bool = False
    space: str = ""
    lesion_classes: dict[str, Any] = field(default_factory=dict)
    ignored_labels: tuple[int, ...] = ()
    anatomy_classes: dict[str, Any] = field(default_factory=dict)
    scans: tuple[Scan, ...] = ()
    warnings: tuple[str, ...] = ()
