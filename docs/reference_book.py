"""Pages of the reference as they grow: tables of rows, and the keys that nothing says a word of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reference_rows import Row, setting_rows

from normscan.plugins import literals
from normscan.workflow.declared import LIBRARY

COLUMNS = ("key", "type", "default", "allowed", "unit", "meaning")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'| --- ' * len(COLUMNS)}|\n"


class Book:
    """The pages so far, and the keys without a meaning."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.silent: list[str] = []

    def table(self, where: str, rows: list[Row]) -> str:
        """A table; "" without rows."""
        self.silent += [f"{where}: {row.key}" for row in rows if not row.meaning]
        lines = ["| " + " | ".join(_cells(row)) + " |\n" for row in rows]
        return HEAD + "".join(lines) + "\n" if rows else ""

    def settings(self, file: Path, shared: Mapping[str, str], **elsewhere: str) -> str:
        """The table of a plug-in's ``SETTINGS``."""
        said = literals(file)
        meaning = {**shared, **said.get("MEANING", {})}
        rows = setting_rows(
            said["SETTINGS"], said.get("ALLOWED", {}), lambda key: meaning.get(key, ""), elsewhere
        )
        return self.table(file.relative_to(LIBRARY).as_posix(), rows) + together(said)

    def kinds(
        self,
        file: Path,
        kinds: Mapping[str, Mapping[str, Any]],
        level: str = "##",
        **elsewhere: str,
    ) -> str:
        """A section for each of several kinds that one file has."""
        said, text = literals(file), ""
        meaning = said.get("MEANING", {})
        for kind, defaults in kinds.items():
            what = meaning.get(kind, "")
            where = f"{file.relative_to(LIBRARY).as_posix()}: {kind}"
            self.silent += [] if what else [where]
            rows = setting_rows(
                defaults,
                said["ALLOWED"].get(kind, {}),
                lambda key, kind=kind: meaning.get(f"{kind}.{key}", meaning.get(key, "")),
                elsewhere,
            )
            text += f"{level} {kind}\n\n{sentence(what)}\n\n{self.table(where, rows)}"
        return text


def together(said: Mapping[str, Any]) -> str:
    """What holds for several settings of a plug-in, as its ``TOGETHER`` has it; "" for nothing."""
    rules = ", ".join(f"`{rule}`" for rule in said.get("TOGETHER", {}))
    return f"Together (`size`: side of the slices): {rules}.\n\n" if rules else ""


def _cells(row: Row) -> list[str]:
    default = row.default if row.default in ("", "required") else f"`{row.default}`"
    cells = [f"`{row.key}`", row.type, default, row.allowed, row.unit, row.meaning]
    return [one.replace("|", "\\|") for one in cells]


def sentence(text: str) -> str:
    """A meaning that stands by itself."""
    return f"{text[:1].upper()}{text[1:]}."


def words(names: Iterable[str]) -> str:
    """Names of a list."""
    return ", ".join(f"`{one}`" for one in names)


def first_sentence(file: Path) -> str:
    """The first sentence of a module's docstring."""
    text = re.match(r'"""(.*?)(\n\n|""")', file.read_text(encoding="utf-8"), re.DOTALL)
    assert text, file
    return re.split(r"(?<=\.) Source", " ".join(text[1].split()))[0]
