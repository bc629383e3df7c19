"""Records of made scans: what was made is not made again."""

from __future__ import annotations

from pathlib import Path

from normscan.files import read_json


def is_kept(record: Path, key: str, folder: Path) -> bool:
    """Whether a scan was made like this before, and all of its files are still there.

    Parameters
    ----------
    record : JSON with ``key`` (a digest of all that determines the files) and ``files``.
    folder : that the files are relative to.
    """
    if not record.exists():
        return False
    content = read_json(record)
    files = content.get("files")
    return content["key"] == key and bool(files) and all((folder / one).is_file() for one in files)
