"""Splits by subject: seeded, stored, and kept when subjects are added or removed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from normscan.errors import CohortError

SPLITS = {"healthy": "train", "patients": "test", "unlabelled": "screen"}


def assign_splits(
    subjects: Sequence[str],
    role: str,
    previous: dict[str, str],
    *,
    seed: int,
    cohort: str,
    validation: float,
) -> dict[str, str]:
    """Assign every subject to a split; what was assigned before is kept.

    Parameters
    ----------
    subjects : labels; all sessions of a subject are on one side.
    role : healthy (train/validation), patients (validation/test) or unlabelled (screen).
    previous : splits assigned before.
    seed, cohort : together with the label they decide the order in which subjects are drawn.
    validation : number of validation subjects, or their share when below 1.

    Raises
    ------
    CohortError : not enough subjects.
    """
    rest = SPLITS[role]
    wanted = 0 if role == "unlabelled" else _count(validation, len(subjects))
    if role == "healthy" and wanted < 1:
        wanted = 1
    if len(subjects) < wanted + 1:
        raise CohortError(
            cohort,
            [
                f"{len(subjects)} usable subject(s) are not enough for {wanted} validation "
                f"subject(s) and at least one for '{rest}'; add subjects or lower 'validation'"
            ],
        )
    known = {one: previous[one] for one in subjects if previous.get(one) in ("validation", rest)}
    missing = wanted - sum(split == "validation" for split in known.values())
    new = sorted((one for one in subjects if one not in known), key=_order(seed, cohort))
    for position, subject in enumerate(new):
        known[subject] = "validation" if position < missing else rest
    if rest not in known.values():
        raise CohortError(
            cohort, [f"no subject is left for '{rest}'; delete its stored splits or add subjects"]
        )
    return {subject: known[subject] for subject in subjects}


def subset(subjects: Sequence[str], share: float, seed: int) -> list[str]:
    """A share of subjects; smaller shares are contained in larger ones (Baur et al. 2021, Fig. 8).

    Parameters
    ----------
    subjects : labels.
    share : in (0, 1]; at least one subject is kept.
    """
    count = max(1, round(share * len(subjects)))
    return sorted(sorted(subjects, key=_order(seed, "subset"))[:count])


def _count(validation: float, subjects: int) -> int:
    if validation < 1:
        return math.ceil(round(validation * subjects, 9))
    return int(validation)


def _order(seed: int, name: str):
    return lambda subject: hashlib.sha256(f"{seed}|{name}|{subject}".encode()).digest()
