"""What a bundle tells of healthy scans and of its training: pages show it, so it is looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

HEALTHY_ML, TRAINED_ON = "healthy_ml", "trained_on"


def about_problems(record: Mapping[str, Any]) -> Iterator[str]:
    """What cannot be in the keys that bundles did not always have; they may be missing."""
    if HEALTHY_ML in record:
        yield from _volume_problems(record[HEALTHY_ML])
    if TRAINED_ON in record and not _is_training(record[TRAINED_ON]):
        yield f"{TRAINED_ON}: says no contrasts, or of cohorts no numbers of scans"


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
