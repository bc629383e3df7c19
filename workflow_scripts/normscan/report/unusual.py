"""How unusual a screened scan is, by which bundle, and what that bundle's model has seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from normscan.evaluation.found import Found
from normscan.files import read_json, write_json
from normscan.postprocessing.healthy_volumes import place_among
from normscan.report.numbers import count, number, plain

UNKNOWN = "not known; export the bundle again"
NONE_HEALTHY = "not known: no healthy scan was held out"
PER_SLICE = "not known: the rule splits each slice by itself"


def volume_above(found: Found, scan: str) -> float:
    """Volume (ml, on the slice grid) above the threshold, small components included."""
    above = found.thresholded(scan)
    assert above is not None
    return float(above.sum() * abs(np.linalg.det(found.affine(scan)[:3, :3])) / 1000)


def place(content: Mapping[str, Any], volume: float) -> dict[str, Any]:
    """A scan's place among the healthy scans of its bundle.

    Parameters
    ----------
    content : manifest of a screened shard.
    volume : of the scan, as of :func:`volume_above`.

    Returns
    -------
    ``volume_above_ml``, ``percentile`` (share of healthy scans with less, per cent; None: not
    known), ``healthy_scans``.
    """
    healthy = content.get("bundle", {}).get("healthy_ml") or []
    percentile = place_among(volume, healthy)[1] if healthy else None
    return {"volume_above_ml": volume, "percentile": percentile, "healthy_scans": len(healthy)}


def place_facts(content: Mapping[str, Any], placed: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a page says of it first: value, and what it is of."""
    volume = (f"{number(placed['volume_above_ml'], 2)} ml", "above the threshold")
    if placed["percentile"] is None:
        new = content.get("bundle", {}).get("format", 1) > 1
        why = PER_SLICE if content.get("per") == "slice" else NONE_HEALTHY if new else UNKNOWN
        return [volume, ("–", f"its place among healthy scans is {why}")]
    below = round(placed["percentile"] * placed["healthy_scans"] / 100)
    healthy = count(placed["healthy_scans"], "held-out healthy scan")
    return [volume, (f"{placed['percentile']:.0f}", f"percentile: {below} of {healthy} have less")]


def bundle_facts(content: Mapping[str, Any]) -> dict[str, str]:
    """What a page says of the bundle: which it is, and what its model was trained on."""
    bundle = content.get("bundle", {})
    return {
        "bundle": f"{bundle['digest']}, format {bundle['format']}" if bundle else UNKNOWN,
        "trained on": _training(bundle.get("trained_on")),
    }


def _training(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return UNKNOWN
    if not found["cohorts"]:
        return "nothing: it has no model"
    told = []
    for name, one in found["cohorts"].items():
        ages = one["ages"]
        age = f"ages of the cohort {ages[0]:g} to {ages[1]:g}" if ages else "ages not known"
        train, held = count(one["train"], "scan"), f"{one['validation']} more for validation"
        told.append(f"{name}: {train} ({held}; {age})")
    return f"{plain(found['contrasts'])} of {'; '.join(told)}"


class Bundles:
    """Bundles that the pages of a cohort were made with, now and before.

    Parameters
    ----------
    path : of a file that outlives the pages: scan -> approach -> digests, the last one last.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.known: dict[str, dict[str, list[str]]] = (
            read_json(self.path) if self.path.is_file() else {}
        )

    def take(self, scan: str, approach: str, digest: str) -> str:
        """Note a bundle; the one that this page was made with before, "" where there was none."""
        digests = self.known.setdefault(scan, {}).setdefault(approach, [])
        if digests[-1:] != [digest]:
            digests.append(digest)
        return digests[-2] if len(digests) > 1 else ""

    def write(self) -> None:
        """Keep what was taken."""
        write_json(self.path, self.known)
