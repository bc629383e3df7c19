"""Which scans of its folder or table a cohort takes: ``include``, ``where``, ``exclude``."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from typing import Any

from normscan.cohorts.scans import Scan

SESSION = "session"
MANY_VALUES = 12


def choose(
    entry: dict[str, Any], scans: Sequence[Scan], others: Sequence[Scan] = ()
) -> tuple[list[Scan], list[str]]:
    """Scans that an entry takes, and every problem of how it says so.

    Parameters
    ----------
    entry : a cohort's; of its keys ``include`` and ``exclude`` name subjects (``sub-07``, ``07``)
        or scans (``sub-07_ses-2``), and ``where`` maps a covariate, or ``session``, to the values
        that are taken. A scan is taken when all three agree.
    scans : all of the folder or table; at least one.
    others : subjects there without any image, which may be named as well.
    """
    problems = _name_problems("include", entry, [*scans, *others]) + _where_problems(entry, scans)
    problems += _name_problems("exclude", entry, [*scans, *others])
    taken = [scan for scan in scans if is_taken(scan, entry)]
    if not taken and not problems:
        problems.append(_nobody(entry))
    return taken, problems


def is_taken(scan: Scan, entry: dict[str, Any]) -> bool:
    """Whether an entry takes a scan."""
    excluded = _is_named("exclude", scan, entry)
    return _is_included(scan, entry) and _is_where(scan, entry) and not excluded


def nearest(name: str, known: Collection[str]) -> str:
    """``(did you mean 'x'?)`` for the nearest known name, whatever its case; empty without one."""
    lowered = {one.lower(): one for one in known}
    near = difflib.get_close_matches(str(name).lower(), list(lowered), n=1, cutoff=0.5)
    return f" (did you mean '{lowered[near[0]]}'?)" if near else ""


def _nobody(entry: dict[str, Any]) -> str:
    """That no scan is left, and by which keys."""
    keys = [key for key in ("include", "where", "exclude") if entry.get(key)]
    if len(keys) == 1:
        what = "takes no" if keys == ["where"] else "leaves out every"
        return f"{keys[0]}: {what} scan of the cohort"
    return f"{', '.join(keys)}: no scan is left when all of them apply; mend one"


# Names of subjects and scans


def _scan_name(text: str) -> str:
    return f"sub-{str(text).removeprefix('sub-')}"


def _is_named(key: str, scan: Scan, entry: dict[str, Any]) -> bool:
    names = {_scan_name(one) for one in entry.get(key) or []}
    return bool(names & {scan.id, f"sub-{scan.subject}"})


def _is_included(scan: Scan, entry: dict[str, Any]) -> bool:
    return not entry.get("include") or _is_named("include", scan, entry)


def _name_problems(key: str, entry: dict[str, Any], scans: Sequence[Scan]) -> list[str]:
    known = {name for scan in scans for name in (scan.id, f"sub-{scan.subject}")}
    return [
        f"{key}: no scan or subject '{one}'{nearest(_scan_name(one), sorted(known))}"
        for one in entry.get(key) or []
        if _scan_name(one) not in known
    ]


# Columns


def _cell(scan: Scan, column: str) -> str:
    """A scan's value in a column, "" when it has none."""
    return str(scan.session if column == SESSION else scan.covariates.get(column, ""))


def _values(wanted: Any) -> list[Any]:
    return wanted if isinstance(wanted, list) else [wanted]


def _is_value(cell: str, wanted: Any) -> bool:
    """Whether a cell holds a value; a number is one however it is written (``1``, ``1.0``)."""
    if cell == str(wanted):
        return True
    try:
        return not isinstance(wanted, str) and float(cell) == float(wanted)
    except ValueError:
        return False


def _is_where(scan: Scan, entry: dict[str, Any]) -> bool:
    return all(
        any(_is_value(_cell(scan, column), one) for one in _values(wanted))
        for column, wanted in (entry.get("where") or {}).items()
    )


def _where_problems(entry: dict[str, Any], scans: Sequence[Scan]) -> list[str]:
    """Columns that there are not, and values that no row has."""
    columns = list(dict.fromkeys(name for scan in scans for name in scan.covariates))
    if any(scan.session for scan in scans):
        columns.append(SESSION)
    problems = []
    for column, wanted in (entry.get("where") or {}).items():
        if column not in columns:
            problems.append(
                f"where: no column '{column}'{nearest(column, columns)}; {_columns(entry, columns)}"
            )
            continue
        found = sorted({cell for scan in scans if (cell := _cell(scan, column))})
        problems += [
            f"where.{column}: no row has '{one}'{nearest(one, found)}; found: {_shortened(found)}"
            for one in _values(wanted)
            if not any(_is_value(cell, one) for cell in found)
        ]
    return problems


def _columns(entry: dict[str, Any], columns: list[str]) -> str:
    """Where columns come from, and which there are."""
    if columns:
        return f"there are: {', '.join(columns)}"
    if entry["source"] == "bids":
        return "participants.tsv is missing, or says nothing of these subjects"
    if entry["source"] == "table":
        return "the table has no further column"
    return f"source '{entry['source']}' has none; name subjects under 'include'"


def _shortened(values: list[str]) -> str:
    more = len(values) - MANY_VALUES
    return ", ".join(values[:MANY_VALUES]) + (f" and {more} more" if more > 0 else "")
