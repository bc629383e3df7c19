"""A cohort from a TSV: one row per scan."""

from __future__ import annotations

import csv
import difflib
from pathlib import Path

from normscan.cohorts.scans import CONTRASTS, Scan
from normscan.errors import NormscanError
from normscan.files import inside

FIXED = ("subject", "session", "brain_mask", "lesion_mask")


def read_table(path: Path, cohort: str) -> tuple[list[Scan], list[str]]:
    """Scans of a table and every problem found in it.

    Parameters
    ----------
    path : TSV with the columns subject, session (optional), one per contrast, brain_mask,
        lesion_mask; further columns are covariates. Paths are relative to the table's folder and
        stay inside it. ``n/a`` and empty cells mean none.
    cohort : name of the cohort.
    """
    problems: list[str] = []
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, delimiter="\t")
        columns = list(reader.fieldnames or [])
        rows = [{k: _cell(v) for k, v in row.items() if k} for row in reader]
    if "subject" not in columns:
        return [], [f"{path}: has no column 'subject'; it has: {', '.join(columns) or 'none'}"]
    contrasts = [name for name in columns if name in CONTRASTS]
    if not contrasts:
        return [], [
            f"{path}: has no column of a contrast; name columns after: {', '.join(CONTRASTS)}"
        ]
    for name in columns:
        near = difflib.get_close_matches(name.lower(), [c.lower() for c in CONTRASTS], 1, 0.75)
        if name not in CONTRASTS and name not in FIXED and near:
            right = next(c for c in CONTRASTS if c.lower() == near[0])
            problems.append(f"{path}: column '{name}' is no contrast; did you mean '{right}'?")
    if not rows:
        problems.append(f"{path}: has no rows")
    scans = []
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        if not row.get("subject"):
            problems.append(f"{where}: has no subject")
            continue
        files = {}
        for name in (*contrasts, "brain_mask", "lesion_mask"):
            try:
                files[name] = str(inside(path.parent, row[name])) if row.get(name) else ""
            except NormscanError as error:
                problems.append(f"{where}: {error}")
        scans.append(
            Scan(
                cohort,
                row["subject"].removeprefix("sub-"),
                (row.get("session") or "").removeprefix("ses-"),
                {name: files[name] for name in contrasts if files.get(name)},
                files.get("brain_mask", ""),
                files.get("lesion_mask", ""),
                {k: v for k, v in row.items() if k not in (*CONTRASTS, *FIXED) and v},
            )
        )
    return scans, problems


def _cell(value: str | None) -> str:
    value = (value or "").strip()
    return "" if value.lower() == "n/a" else value
