"""What the models of a bundle were trained on, in a few numbers that tell nobody apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TRAIN, VALIDATION = "train", "validation"


def trained_on(
    descriptions: Iterable[Mapping[str, Any]], ages: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    """Contrasts, and by cohort the scans of all models of a bundle together.

    Parameters
    ----------
    descriptions : of its models (``bundle.json``); none for an approach without a model.
    ages : cohort -> lowest and highest age of its subjects, where known.

    Returns
    -------
    {"contrasts": [...], "cohorts": {name: {"train": scans, "validation": scans, "ages": [low,
    high] or None}}}
    """
    contrasts: dict[str, None] = {}
    seen: dict[str, dict[str, set[str]]] = {}
    for one in descriptions:
        contrasts |= dict.fromkeys([*one["inputs"], *one["targets"]])
        # Scans of a model that another uses stand under the split and its role.
        for split, scans in one["scans"].items():
            kind = TRAIN if split.startswith(TRAIN) else VALIDATION
            for name in scans:
                cohort = name.partition("/")[0]
                seen.setdefault(cohort, {TRAIN: set(), VALIDATION: set()})[kind].add(name)
    return {
        "contrasts": list(contrasts),
        "cohorts": {
            cohort: {
                TRAIN: len(own[TRAIN]),
                VALIDATION: len(own[VALIDATION] - own[TRAIN]),
                "ages": list(ages[cohort]) if cohort in ages else None,
            }
            for cohort, own in sorted(seen.items())
        },
    }
