"""The viewer's library, written once beside the pages that load it."""

from __future__ import annotations

from pathlib import Path

from normscan.files import write_text

VENDOR = Path(__file__).parent / "vendor"
LIBRARY, LICENCE = "niivue.umd.js", "LICENSE.niivue.txt"


def write_library(path: str | Path) -> None:
    """Write the library to ``path``, and its licence beside it."""
    for name, target in ((LIBRARY, Path(path)), (LICENCE, Path(path).parent / LICENCE)):
        write_text(target, (VENDOR / name).read_text(encoding="utf-8"))
