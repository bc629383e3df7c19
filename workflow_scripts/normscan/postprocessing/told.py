"""What a bundle tells of healthy scans, of its training, and of what becomes of its maps.

Pages show it and scripts compute with it, so it is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from normscan.allowed import in_words, is_allowed
from normscan.plugins import unknown_setting

SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "protocol.schema.yaml"
POSTPROCESSING = "postprocessing"
# Without it the cohort's own counts.
LEFT_OUT = {"prior"}
HEALTHY_ML, TRAINED_ON = "healthy_ml", "trained_on"


def about_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """What cannot be in the keys that bundles did not always have; they may be missing."""
    if HEALTHY_ML in record:
        yield from _volume_problems(record[HEALTHY_ML])
    if TRAINED_ON in record and not _is_training(record[TRAINED_ON]):
        yield f"{TRAINED_ON}: says no contrasts, or of cohorts no numbers of scans"


def postprocessing_problems(given: Mapping[str, Any]) -> Iterator[str]:
    """What cannot be of a bundle's post-processing, by the ranges that a protocol's has."""
    ranges = _ranges()
    if lacking := [key for key in ranges if key not in given and key not in LEFT_OUT]:
        yield f"{POSTPROCESSING}: lacks {', '.join(lacking)}"
    for key, value in given.items():
        where = f"{POSTPROCESSING}.{key}"
        if key not in ranges:
            yield unknown_setting(where, key, ranges)
        elif not is_allowed(value, ranges[key]):
            yield f"{where}: found {value!r}{in_words(value, ranges[key])}"
        elif key == "median":
            yield from width_problems(value, where)


def width_problems(median: int, where: str) -> Iterator[str]:
    """A median filter has a voxel in its middle.

    Parameters
    ----------
    where : the key that problems are reported under.
    """
    if median % 2 == 0:
        yield f"{where}: found {median}; must be odd"


@cache
def _ranges() -> dict[str, Any]:
    """Words and ranges, as of :mod:`normscan.allowed`, that the schema of protocols states."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    return {
        key: one["enum"] if "enum" in one else f"whole {one['minimum']}..{one['maximum']}"
        for key, one in schema["properties"][POSTPROCESSING]["properties"].items()
    }


def _volume_problems(volumes: Any) -> Iterator[str]:
    if not isinstance(volumes, dict) or not all(isinstance(one, dict) for one in volumes.values()):
        yield f"{HEALTHY_ML}: must be a mapping of sign priors to rules"
        return
    for prior, rules in volumes.items():
        for rule, own in rules.items():
            if not isinstance(own, list) or not own or not all(_is_amount(one) for one in own):
                yield f"{HEALTHY_ML}.{prior}.{rule}: must be a list of volumes in ml, 0 or more"


def _is_training(found: Any) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("cohorts"), dict):
        return False
    contrasts = found.get("contrasts")
    return (
        isinstance(contrasts, list)
        and all(isinstance(one, str) for one in contrasts)
        and all(_is_cohort(one) for one in found["cohorts"].values())
    )


def _is_cohort(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    counts, ages = [found.get(key) for key in ("train", "validation")], found.get("ages")
    known = isinstance(ages, list) and len(ages) == 2 and all(_is_amount(one) for one in ages)
    whole = all(_is_amount(one) and isinstance(one, int) for one in counts)
    return whole and (known or ages is None)


def _is_amount(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0
