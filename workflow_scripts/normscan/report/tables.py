"""Tables of a page: cells with a text, a class and a value to sort by."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from normscan.report.leaderboard import Board, Row
from normscan.report.numbers import difference, number, plain, plus_minus, signed
from normscan.report.pages import anchor
from normscan.report.verdicts import BEATS, BELOW


def cell(
    text: str,
    value: Any = None,
    kind: str = "",
    small: str = "",
    href: str = "",
    anchor: str = "",
    further: Sequence[tuple[str, str]] = (),
) -> dict:
    """One cell; ``value`` is what sorting uses, ``kind`` a CSS class, ``anchor`` its id.

    ``further`` : more links below its text, each with its words.
    """
    return {
        "text": text,
        "value": value,
        "kind": kind,
        "small": small,
        "href": href,
        "anchor": anchor,
        "further": list(further),
    }


def table(
    columns: Sequence[Mapping[str, Any]], rows: Iterable[Sequence[dict]], download: str = ""
) -> dict:
    """A table for the template.

    Parameters
    ----------
    columns : mappings with ``label`` and optionally ``numeric``, ``note``, ``kind``.
    download : the file that the values come from, a link.
    """
    full = [
        {
            "label": column["label"],
            "note": column.get("note", ""),
            "numeric": bool(column.get("numeric")),
            "css": " ".join(
                filter(None, ["numeric" * bool(column.get("numeric")), column.get("kind", "")])
            ),
        }
        for column in columns
    ]
    return {"columns": full, "rows": [list(row) for row in rows], "download": download}


def frame_table(
    frame,
    labels: Mapping[str, str] | None = None,
    marked=(),
    key: str = "",
    download: str = "",
) -> dict:
    """Any pandas table; columns of numbers are right-aligned.

    Parameters
    ----------
    labels : column -> heading.
    marked : values of column ``key`` whose rows are marked.
    download : the file that the table comes from, a link.
    """
    labels = labels or {}
    columns = [
        {
            "label": labels.get(name, str(name).replace("_", " ")),
            "numeric": frame[name].dtype.kind in "iuf",
        }
        for name in frame.columns
    ]
    marked = {str(value) for value in marked}
    decimals = [_decimals(frame[name]) for name in frame.columns]
    rows = []
    for _, row in frame.iterrows():
        kind = "flagged" if key and str(row[key]) in marked else ""
        texts = [
            plain(value) if places is None else number(value, places)
            for value, places in zip(row, decimals)
        ]
        rows.append([cell(text, sortable(value), kind) for text, value in zip(texts, row)])
    return table(columns, rows, download)


def _decimals(values) -> int | None:
    """Equal decimals for all floats of a column, three digits for its largest; None: no floats."""
    if values.dtype.kind != "f":
        return None
    largest = float(values.abs().max())
    if (values.dropna() % 1 == 0).all() or not math.isfinite(largest) or largest == 0:
        return 0
    return min(3, max(0, 2 - math.floor(math.log10(largest))))


def sortable(value: Any) -> Any:
    """A number to sort by, or None for text and missing values."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        value = value.item() if hasattr(value, "item") else None
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    return None


def board_table(
    board: Board,
    linked: Container[str] = (),
    download: str = "",
    patients: Mapping[str, str] | None = None,
) -> dict:
    """The leaderboard; oracle columns carry a class and their label says so.

    Parameters
    ----------
    linked : approaches that the page describes (``protocol/approach``).
    download : the file that the values come from, a link.
    patients : protocol -> the pages of its test patients, a link.
    """
    compared = any(row.verdict for row in board.rows)
    several = len({row.protocol for row in board.rows}) > 1
    columns: list[dict[str, Any]] = [{"label": "approach"}]
    columns += [{"label": "protocol"}] if several else []
    for place, column in enumerate(board.columns):
        kind = "oracle" if column.oracle else ""
        columns.append({"label": column.label, "note": column.note, "numeric": True, "kind": kind})
        if place == 0 and compared:
            note = (
                "difference in AUPRC to the strongest training-free approach of the same protocol; "
                "below it the mean difference over patients, of AUPRC and of Dice at the first "
                "threshold rule, with 95 % intervals of a paired bootstrap, and p of a paired "
                "Wilcoxon test after Holm's correction over all pairs of approaches"
            )
            columns.append({"label": "against baseline", "note": note, "numeric": True})
    rows = []
    for row in board.rows:
        # What has no maps is not on the pages of patients.
        pages = (patients or {}).get(row.protocol, "") if math.isfinite(row.cells[0].mean) else ""
        line = [approach_cell(row, linked, patients=pages)]
        line += [cell(row.protocol)] if several else []
        for place, (column, entry) in enumerate(zip(board.columns, row.cells)):
            line.append(_score(column, entry))
            if place == 0 and compared:
                line.append(_against(row))
        rows.append(line)
    return table(columns, rows, download)


def approach_cell(
    row: Row, linked: Container[str] = (), kind: str = "name", patients: str = ""
) -> dict:
    """The name of an approach, where the page says what it is, and a link to its patients."""
    short = row.approach.rpartition("/")[2]
    href = f"#{anchor(row.approach)}" if row.approach in linked else ""
    small, further = short if short != row.title else "", [("patients", patients)] * bool(patients)
    return cell(row.title, kind=kind, small=small, href=href, further=further)


def _score(column, entry) -> dict:
    kind = " ".join(filter(None, ["oracle" * column.oracle, "best" * entry.best]))
    patients = plus_minus(entry.patients_std)
    small = [plus_minus(entry.seeds_std), patients and f"patients {patients}", entry.note]
    small = list(filter(None, small))
    return cell(number(entry.mean), sortable(entry.mean), kind, "\n".join(small))


def _against(row) -> dict:
    if row.baseline:
        return cell("baseline", 0.0, "reference")
    if not math.isfinite(row.delta):
        return cell("–", None, "", row.verdict)
    kind, small = {
        BEATS: ("above", "beats it"),
        BELOW: ("below", "does not beat it"),
    }.get(row.verdict, ("within", row.verdict))
    if row.test is not None:
        test = row.test
        per_patient = difference(test.difference, test.low, test.high)
        small += f"\npatients {per_patient}, p\u00a0=\u00a0{test.p:.2g}"
        if test.dice is not None:
            small += f"\nDice {difference(*test.dice)}"
    return cell(signed(row.delta), row.delta, kind, small)
