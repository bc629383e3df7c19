"""Records of made scans: what was made is not made again."""

from __future__ import annotations

from pathlib import Path

from normscan.errors import NormscanError
from normscan.files import are_unchanged, note_placed, read_json


def is_kept(record: Path, key: str, folder: Path) -> bool:
    """Whether a scan was made like this before, and all of its files are as they were made.

    Parameters
    ----------
    record : JSON with ``key`` (a digest of all that determines the files) and ``files``
        (:func:`~normscan.files.file_digests`).
    folder : that the files are relative to.
    """
    try:
        content = read_json(record)
    except NormscanError:
        return False
    files = content.get("files")
    kept = content["key"] == key and bool(files) and are_unchanged(folder, files)
    if kept:
        note_placed([record, *(folder / name for name in files)])
    return kept
