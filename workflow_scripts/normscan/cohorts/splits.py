"""Splits by subject: seeded, stored, and kept when subjects are added or removed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence

from normscan.errors import CohortError, ConfigError

SPLITS = {"healthy": "train", "patients": "test", "unlabelled": "screen"}


def assign_splits(
    subjects: Sequence[str],
    role: str,
    previous: dict[str, str],
    *,
    seed: int,
    cohort: str,
    validation: float,
    training: float = 0,
) -> dict[str, str]:
    """Assign every subject to a split; what was assigned before is kept.

    Subjects are drawn in the order of a hash of seed, cohort and label, which no other subject
    influences. New subjects become validation subjects only while there are too few of them, and so
    do new patients training patients. Where patients are asked to train for the first time, they
    come from those that were tested: nobody goes to or from validation.

    Parameters
    ----------
    subjects : labels; all sessions of a subject are on one side.
    role : healthy (train/validation), patients (validation/test, and train where asked) or
        unlabelled (screen).
    previous : splits assigned before; those that the role does not know are ignored.
    seed, cohort : decide the order together with the label.
    validation : number of validation subjects, or their share when below 1. Healthy cohorts get at
        least one, since training stops by their error.
    training : number of patients to train on, or their share of what validation leaves when below
        1; 0: none. (Healthy subjects all train that do not validate.)

    Returns
    -------
    subject -> split, in the order of ``subjects``.

    Raises
    ------
    CohortError : not enough subjects for the split.
    ConfigError : ``validation`` or ``training`` is neither a share nor a number of subjects.
    """
    rest = SPLITS[role]
    subjects = list(dict.fromkeys(subjects))
    wanted = validation_count(len(subjects), role, validation)
    problem = too_few(len(subjects), role, validation, training)
    if problem:
        raise CohortError(cohort, [problem])
    allowed = (rest, "validation") if role != "unlabelled" else (rest,)
    # Patients that trained are among those that do not validate, whether they still train or not.
    stored = {one: rest if split == "train" else split for one, split in previous.items()}
    known = {one: stored[one] for one in subjects if stored.get(one) in allowed}
    missing = wanted - sum(split == "validation" for split in known.values())
    new = sorted((one for one in subjects if one not in known), key=drawn_order(seed, cohort))
    for position, subject in enumerate(new):
        known[subject] = "validation" if position < missing else rest
    trained = training_count(len(subjects), role, validation, training)
    if trained:
        known = _with_training(known, previous, trained, drawn_order(seed, cohort))
    for needed in (rest, *(["validation"] * bool(wanted)), *(["train"] * bool(trained))):
        if needed not in known.values():
            raise CohortError(
                cohort,
                [
                    f"no subject is left for '{needed}', since stored splits are kept; add "
                    f"subjects, or delete the stored splits.json of '{cohort}' to draw anew"
                ],
            )
    return {subject: known[subject] for subject in subjects}


def _with_training(
    known: dict[str, str], previous: dict[str, str], wanted: int, order: Callable[[str], bytes]
) -> dict[str, str]:
    """Splits with so many of the tested patients in training, as far as stored splits allow."""
    tested = [one for one, split in known.items() if split == SPLITS["patients"]]
    chosen = [one for one in tested if previous.get(one) == "train"]
    # Once some have trained, those that were tested beside them stay so.
    free = [one for one in tested if one not in chosen and not (chosen and one in previous)]
    chosen += sorted(free, key=order)[: max(wanted - len(chosen), 0)]
    return {one: "train" if one in chosen else split for one, split in known.items()}


def training_count(subjects: int, role: str, validation: float, training: float) -> int:
    """How many of so many patients are trained on; ConfigError as of the splits."""
    if role != "patients" or not training:
        return 0
    left = max(subjects - validation_count(subjects, role, validation), 0)
    return max(_count(training, left, "training"), 1)


def validation_count(subjects: int, role: str, validation: float) -> int:
    """How many of so many subjects are validation subjects; ConfigError as of the splits."""
    if role == "unlabelled":
        return 0
    return max(_count(validation, subjects), 1 if role == "healthy" else 0)


def too_few(subjects: int, role: str, validation: float, training: float = 0) -> str:
    """Why so many subjects cannot be split; empty when they can."""
    wanted = validation_count(subjects, role, validation)
    trained = training_count(subjects, role, validation, training)
    if subjects > wanted + trained:
        return ""
    beside = f", {trained} training subject(s)" if trained else ""
    lower = "'validation' or 'training'" if trained else "'validation'"
    return (
        f"{subjects} usable subject(s) are not enough for {wanted} validation subject(s){beside} "
        f"and at least one for '{SPLITS[role]}'; add subjects or lower {lower}"
    )


def last_in_order(subjects: Iterable[str], seed: int, cohort: str) -> str:
    """Of the subjects of a cohort that which :func:`assign_splits` takes last for validation."""
    return max(subjects, key=drawn_order(seed, cohort))


def subset(subjects: Sequence[str], share: float, seed: int) -> list[str]:
    """A share of subjects; smaller shares are contained in larger ones (Baur et al. 2021, Fig. 8).

    Parameters
    ----------
    subjects : labels.
    share : in (0, 1]; at least one subject is kept.
    seed : decides the order in which subjects are drawn.

    Raises
    ------
    ConfigError : the share is outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share of subjects: found {share:g}; must be above 0 and at most 1")
    count = max(1, round(share * len(subjects)))
    return sorted(sorted(subjects, key=drawn_order(seed, "subset"))[:count])


def _count(wanted: float, subjects: int, name: str = "validation") -> int:
    if wanted < 0 or (wanted > 1 and wanted != int(wanted)):
        raise ConfigError(
            f"{name}: found {wanted:g}; must be a share below 1 or a number of subjects"
        )
    if wanted < 1:
        # Rounded first: 0.28 * 25 is 7.000000000000001 in floating point.
        return math.ceil(round(wanted * subjects, 9))
    return int(wanted)


def drawn_order(seed: int, name: str) -> Callable[[str], bytes]:
    """Key to sort labels by: an order that is drawn at random and no other label influences."""
    return lambda subject: hashlib.sha256(f"{seed}|{name}|{subject}".encode()).digest()
