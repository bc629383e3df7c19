"""What was asked of a run, and what came out: the first two sections of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normscan.evaluation.significance import LEVEL, most_coverage
from normscan.report import tables
from normscan.report.leaderboard import Row
from normscan.report.numbers import count, difference, listing, number, plus_minus
from normscan.report.verdicts import ANOTHER, BASELINE


def asked(
    boards: Sequence[Mapping[str, Any]], cohorts: Sequence[Mapping[str, Any]], seeds: int
) -> list[str]:
    """The question in sentences; empty where nothing was scored.

    Parameters
    ----------
    boards : of ``boards.board``. cohorts : as of ``report.build_report``.
    seeds : how often each model was trained.
    """
    single = [board for board in boards if not board["combined"]]
    rows = {row.approach: row for board in single for row in board["rows"]}
    if not rows:
        return []
    names = dict.fromkeys(str(board["cohort"]) for board in single)
    protocols = dict.fromkeys(row.protocol for row in rows.values())
    number_of = f"{len(rows)} approaches" if len(rows) > 1 else "one approach"
    recipes = f" of {len(protocols)} protocols" if len(protocols) > 1 else ""
    said = [
        f"How well do {number_of}{recipes} find the lesions of {listing(names)}, and is any "
        "trained model better than what needs no training?"
        if len(rows) > 1
        else f"How well does one approach find the lesions of {listing(names)}?"
    ]
    healthy = [_group(one, "train") for one in cohorts if one.get("role") == "healthy"]
    if any(healthy):
        times = f" Each was trained with {count(seeds, 'seed')}." if seeds else ""
        said.append(f"Models learned from {listing(filter(None, healthy))}.{times}")
    scored = [one for one in cohorts if str(one["name"]) in names]
    if tested := [_group(one, "test", one.get("prior")) for one in scored]:
        said.append(f"They were scored on patients held out: {listing(filter(None, tested))}.")
    return said


def _group(cohort: Mapping[str, Any], split: str, prior: Any = None) -> str:
    """``ms (6 subjects, sign prior hyperintense)``; empty without subjects in that split."""
    there = (cohort.get("splits") or {}).get(split)
    if not there:
        return ""
    inside = count(int(there), "subject") + (f", sign prior {prior}" if prior else "")
    return f"{cohort['name']} ({inside})"


def answer_table(
    boards: Sequence[Mapping[str, Any]], linked: Any = (), download: str = ""
) -> dict | None:
    """A row per cohort and protocol: the baseline, the best of the others, how sure that is.

    Parameters
    ----------
    boards : of ``boards.board``; combined ones are left out.
    linked : approaches (``protocol/approach``) that the page describes.
    download : the file that the values come from, a link.
    """
    columns = [
        {"label": "cohort"},
        {"label": "protocol"},
        {"label": "test patients", "numeric": True},
        {"label": "training-free baseline"},
        {"label": "its AUPRC", "numeric": True},
        {"label": "best of all others"},
        {"label": "its AUPRC", "numeric": True},
        {"label": "difference per patient, with its interval"},
        {"label": "verdict"},
    ]
    rows = [_line(one, linked) for one in boards if not one["combined"] and one["rows"]]
    return tables.table(columns, rows, download) if rows else None


def _line(board: Mapping[str, Any], linked: Any) -> list[dict]:
    scored = [row for row in board["rows"] if np.isfinite(row.cells[0].mean)]
    baseline = next((row for row in scored if row.baseline), None)
    other = next((row for row in scored if row.verdict not in (BASELINE, ANOTHER)), None)
    better = max(filter(None, (baseline, other)), key=lambda row: row.cells[0].mean, default=None)
    found = [
        tables.cell(str(board["cohort"]), kind="name", href=f"#{board['anchor']}"),
        tables.cell(str(board["protocol"])),
        tables.cell(str(board["patients"]), board["patients"]),
    ]
    for row in (baseline, other):
        found += _contender(row, row is better and baseline is not other, linked)
    return [*found, _interval(other), tables.cell(other.verdict if other and baseline else "–")]


def _contender(row: Row | None, best: bool, linked: Any) -> list[dict]:
    """Name and AUPRC of an approach."""
    if row is None:
        return [tables.cell("none"), tables.cell("–")]
    return [
        {**tables.approach_cell(row, linked, kind="best" * best), "small": ""},
        tables.cell(
            number(row.cells[0].mean),
            tables.sortable(row.cells[0].mean),
            "best" * best,
            plus_minus(row.cells[0].seeds_std),
        ),
    ]


def _interval(row: Row | None) -> dict:
    """How far the best model is from the baseline over patients, and how sure that is."""
    if row is None or row.test is None:
        return tables.cell("not tested")
    test, small = row.test, f"p\u00a0=\u00a0{row.test.p:.2g}"
    if (covered := most_coverage(test.patients)) < LEVEL:
        small += f"; at most a {100 * covered:.0f} % interval"
    return tables.cell(
        difference(test.difference, test.low, test.high), test.difference, "interval", small
    )
