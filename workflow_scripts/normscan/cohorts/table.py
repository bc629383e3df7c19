"""A cohort from a TSV: one row per scan."""

from __future__ import annotations

import csv
import difflib
import re
from pathlib import Path

from normscan.cohorts.scans import CONTRASTS, Scan
from normscan.errors import NormscanError
from normscan.files import inside

FIXED = ("subject", "session", "brain_mask", "lesion_mask", "anatomy")
LABEL = re.compile(r"[A-Za-z0-9]+")


def read_table(path: Path, cohort: str, root: Path | None = None) -> tuple[list[Scan], list[str]]:
    """Scans of a table and every problem found in it.

    Parameters
    ----------
    path : TSV with the columns subject, session (optional), one per contrast, brain_mask,
        lesion_mask, anatomy; further columns are covariates. ``n/a`` and empty cells mean none.
    cohort : name of the cohort.
    root : folder that the paths in the table are relative to and must stay inside; default: the
        table's folder.

    Returns
    -------
    scans, problems : rows with a problem of their own are among the problems, not the scans.
    """
    try:
        columns, rows = _cells(path)
    except UnicodeDecodeError:
        return [], [f"{path}: is not UTF-8 text; save it as a tab-separated text file"]
    except csv.Error as error:
        return [], [f"{path}: cannot be read as a table ({error})"]
    contrasts = [name for name in columns if name in CONTRASTS]
    problems = _column_problems(path, columns, rows)
    if "subject" not in columns or not contrasts:
        return [], problems
    if not rows:
        problems.append(f"{path}: is empty; write one row per scan")
    scans = []
    for number, row in rows:
        found = _row_problems(row, columns)
        files = {}
        for name in (*contrasts, "brain_mask", "lesion_mask", "anatomy"):
            try:
                given = row.get(name, "")
                files[name] = str(inside(root or path.parent, given)) if given else ""
            except NormscanError as error:
                found.append(f"{name}: {error}")
        problems += [f"{path}, line {number}: {one}" for one in found]
        if not found:
            scans.append(_scan(cohort, row, files, contrasts))
    return scans, problems


def _cells(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and (line number, cells by column) of every row that is not blank."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream, delimiter="\t")
        columns = [name.strip() for name in next(reader, [])]
        rows = []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                row = dict(zip(columns, map(_cell, cells)))
                row[""] = "" if len(cells) <= len(columns) else str(len(cells))
                rows.append((reader.line_num, row))
    return columns, rows


def _cell(value: str) -> str:
    value = value.strip()
    return "" if value.lower() == "n/a" else value


def _column_problems(path: Path, columns: list[str], rows: list) -> list[str]:
    shown = ", ".join(columns) or "none"
    if len(columns) == 1 and re.search("[,;]", shown):
        return [f"{path}: its columns are not separated by tabs: {shown}"]
    problems = []
    if "subject" not in columns:
        problems.append(f"{path}: has no column 'subject'; its columns: {shown}")
    if not any(name in CONTRASTS for name in columns):
        problems.append(
            f"{path}: has no column of a contrast; its columns: {shown}; name columns after: "
            f"{', '.join(CONTRASTS)}"
        )
    for name in dict.fromkeys(columns):
        if columns.count(name) > 1:
            problems.append(f"{path}: column '{name}' stands {columns.count(name)} times")
        if name in CONTRASTS or name in FIXED:
            continue
        near = _nearest(name)
        files = any(row.get(name, "").endswith((".nii", ".nii.gz")) for _, row in rows)
        if near or files:
            what = "holds images but is no contrast and no mask" if files else "is unknown"
            right = f"did you mean '{near}'?" if near else f"allowed: {', '.join(CONTRASTS)}"
            problems.append(f"{path}: column '{name}' {what}; {right}")
    return problems


def _nearest(column: str) -> str:
    known: dict[str, str] = {name.lower(): name for name in (*CONTRASTS, *FIXED)}
    near = difflib.get_close_matches(column.lower(), list(known), n=1, cutoff=0.75)
    return known[near[0]] if near else ""


def _row_problems(row: dict[str, str], columns: list[str]) -> list[str]:
    problems = []
    if row[""]:
        problems.append(f"has {row['']} cells for {len(columns)} columns")
    if not row.get("subject"):
        problems.append("has no subject")
    for name, prefix in (("subject", "sub-"), ("session", "ses-")):
        label = row.get(name, "").removeprefix(prefix)
        if label and not LABEL.fullmatch(label):
            clean = re.sub(r"[^A-Za-z0-9]", "", label)
            problems.append(
                f"{name} '{label}' may hold letters and digits only, since files are named after "
                f"it; write '{clean}'"
            )
    return problems


def _scan(cohort: str, row: dict[str, str], files: dict, contrasts: list[str]) -> Scan:
    return Scan(
        cohort=cohort,
        subject=row["subject"].removeprefix("sub-"),
        session=row.get("session", "").removeprefix("ses-"),
        images={name: files[name] for name in contrasts if files[name]},
        brain_mask=files["brain_mask"],
        lesion_mask=files["lesion_mask"],
        anatomy=files["anatomy"],
        covariates={k: v for k, v in row.items() if k and v and k not in (*CONTRASTS, *FIXED)},
    )
