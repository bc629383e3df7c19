"""Known public layouts, as data: where a data set keeps contrasts and masks."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from normscan.cohorts.scans import Scan

FOLDER = Path(__file__).parent / "layouts"
PLACEHOLDER = re.compile(r"\\\{(subject|session)\\\}")


def layout_names() -> list[str]:
    """Names of the known layouts."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_layout(name: str) -> dict[str, Any]:
    """A layout: ``description``, ``defaults`` of a cohort, and ``patterns`` by contrast."""
    import yaml

    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def scans_of_layout(folder: Path, name: str, cohort: str) -> tuple[list[Scan], list[str]]:
    """Scans of a data set with a known layout and every problem found.

    A pattern is a path below the folder with ``{subject}`` and ``{session}``; ``*`` stands for
    anything inside one folder or file name. The first pattern of a contrast that matches wins.
    """
    layout = read_layout(name)
    paths = list(_files(folder))
    found: dict[tuple[str, str], dict[str, str]] = {}
    for kind, patterns in layout["patterns"].items():
        for pattern in patterns:
            expression = _expression(pattern)
            for path in paths:
                match = expression.fullmatch(path)
                if match:
                    groups = match.groupdict()
                    subject = re.sub(r"[^A-Za-z0-9]", "", groups.get("subject") or "")
                    key = (subject, groups.get("session") or "")
                    found.setdefault(key, {}).setdefault(kind, str(folder / path))
    scans = []
    for (subject, session), files in sorted(found.items()):
        images = {k: v for k, v in files.items() if k not in ("brain_mask", "lesion_mask")}
        if images:
            brain, lesion = files.get("brain_mask", ""), files.get("lesion_mask", "")
            scans.append(Scan(cohort, subject, session, images, brain, lesion))
    if scans:
        return scans, []
    shown = ", ".join(patterns[0] for patterns in layout["patterns"].values())
    return [], [f"{folder}: no file matches the layout '{name}', which expects: {shown}"]


def _files(folder: Path):
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith((".nii", ".nii.gz")):
                yield os.path.relpath(os.path.join(root, name), folder).replace(os.sep, "/")


def _expression(pattern: str) -> re.Pattern:
    """A pattern as a regular expression; a placeholder that stands twice must match the same."""
    seen: set[str] = set()

    def group(match: re.Match) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>[^/]+?)"

    text = PLACEHOLDER.sub(group, re.escape(pattern))
    return re.compile(text.replace(r"\*", "[^/]*"))
