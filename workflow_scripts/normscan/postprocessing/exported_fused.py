"""What a bundle says of an approach that is fused of others, whose bundles lie beside it.

It holds no model: of each part it has the name, the digest of the part's bundle, and the scores of
held-out healthy scans that the part's maps are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from normscan.plugins import complete_settings, literals

FUSION = "fuse"
PARTS = "parts"
# Read, not imported: planning knows more than a bundle needs.
LITERALS = Path(__file__).parents[1] / "workflow" / "protocol_fused.py"
KEYS: dict[str, Any] = {"variant": str, "seed": int, "weight": (int, float), "digest": str}


def healthy_file(number: int, prior: str) -> str:
    """Name in the bundle of what a part's maps are compared with, under a prior."""
    return f"{PARTS}/{number}-{prior}.npz"


def fused_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """What cannot be in the description of a fused approach."""
    known = literals(LITERALS)
    own = {key: one for key, one in record["settings"].items() if key not in ("fuse", "weights")}
    yield from complete_settings(own, known["SETTINGS"], known["ALLOWED"], "settings")[1]
    parts = record.get(PARTS)
    if not isinstance(parts, list) or not parts:
        yield f"{PARTS}: must be a list of what it is fused of"
        return
    for number, part in enumerate(parts):
        wrong = sorted(KEYS) if not isinstance(part, dict) else _wrong_keys(part)
        if wrong:
            yield f"{PARTS}.{number}: lacks, or has no proper, {', '.join(wrong)}"
    names = [
        healthy_file(number, prior)
        for prior in record["thresholds"]
        for number in range(len(parts))
    ]
    if unnamed := [name for name in names if name not in record["files"]]:
        yield f"files: names no {', '.join(unnamed)}"


def _wrong_keys(part: Mapping[str, Any]) -> list[str]:
    return [key for key in KEYS if not _is_proper(key, part.get(key))]


def _is_proper(key: str, value: Any) -> bool:
    if not isinstance(value, KEYS[key]) or isinstance(value, bool):
        return False
    return key != "weight" or (math.isfinite(value) and value > 0)


def all_trained_on(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the models of all parts were trained on: of each cohort the most scans of any part."""
    contrasts: dict[str, None] = {}
    cohorts: dict[str, dict[str, Any]] = {}
    for one in records:
        contrasts |= dict.fromkeys(one["contrasts"])
        for name, scans in one["cohorts"].items():
            if name not in cohorts or scans["train"] > cohorts[name]["train"]:
                cohorts[name] = scans
    return {"contrasts": list(contrasts), "cohorts": dict(sorted(cohorts.items()))}
