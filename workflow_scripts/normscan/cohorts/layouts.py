"""Known public layouts, as data: where a data set keeps contrasts and masks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from normscan.cohorts.scans import Scan, label

FOLDER = Path(__file__).parent / "layouts"
MASKS = ("brain_mask", "lesion_mask", "anatomy")
TOKEN = re.compile(r"(\*\*/|\*|\{subject\}|\{session\})")


def layout_names() -> list[str]:
    """Names of the known layouts."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_layout(name: str) -> dict[str, Any]:
    """A layout: ``description``, ``defaults`` of a cohort's entry, and ``patterns`` by contrast."""
    import yaml

    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def scans_of_layout(folder: Path, name: str, cohort: str) -> tuple[list[Scan], list[str]]:
    """Scans of a data set with a known layout and every problem found.

    A pattern is a path below the folder. ``{subject}`` and ``{session}`` stand for a label, ``*``
    for anything inside one name, ``**/`` for any folders or none. A file belongs to the first
    pattern that it matches; of several files of one contrast, the one of the earliest pattern is
    used. Two files of one pattern are a problem, as are two folder names that give one label.
    Labels are names without everything but letters and digits.
    """
    layout = read_layout(name)
    patterns = [
        (kind, rank, _expression(pattern))
        for kind, alternatives in layout["patterns"].items()
        for rank, pattern in enumerate(alternatives)
    ]
    problems: list[str] = []
    names: dict[str, str] = {}
    found: dict[tuple[str, str], dict[str, list[tuple[int, str]]]] = {}
    for path in _files(folder):
        for kind, rank, expression in patterns:
            if match := expression.fullmatch(path):
                groups = match.groupdict()
                subject, session = (label(groups.get(one)) for one in ("subject", "session"))
                original = names.setdefault(subject, groups["subject"])
                if original != groups["subject"]:
                    problems.append(
                        f"{folder / path}: '{groups['subject']}' and '{original}' both give the "
                        f"label '{subject}'; rename one"
                    )
                files = found.setdefault((subject, session), {}).setdefault(kind, [])
                files.append((rank, str(folder / path)))
                break
    scans = []
    for (subject, session), files in sorted(found.items()):
        chosen = {kind: min(candidates)[1] for kind, candidates in files.items()}
        images = {kind: path for kind, path in chosen.items() if kind not in MASKS}
        if images:
            brain, lesion, anatomy = (chosen.get(mask, "") for mask in MASKS)
            scan = Scan(cohort, subject, session, images, brain, lesion, anatomy)
            problems += _ambiguous(scan.id, files)
            scans.append(scan)
    if not scans:
        shown = ", ".join(alternatives[0] for alternatives in layout["patterns"].values())
        problems = [f"{folder}: no file fits the layout '{name}', which expects: {shown}"]
    return scans, problems


def _ambiguous(scan: str, files: dict[str, list[tuple[int, str]]]) -> list[str]:
    problems = []
    for kind, candidates in files.items():
        first = min(candidates)[0]
        same = sorted(path for rank, path in candidates if rank == first)
        if len(same) > 1:
            problems.append(
                f"{scan}: has {len(same)} files for {kind}: {', '.join(same)}; point 'path' to a "
                "folder with one of them"
            )
    return problems


def _files(folder: Path) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            if name.endswith((".nii", ".nii.gz")) and not name.startswith("."):
                yield os.path.relpath(os.path.join(root, name), folder).replace(os.sep, "/")


def _expression(pattern: str) -> re.Pattern:
    """A pattern as a regular expression; a placeholder that stands twice must match the same."""
    groups = {"{subject}": r"[^/]+?", "{session}": r"[A-Za-z0-9]+"}
    wild = {"**/": "(?:.*/)?", "*": "[^/]*"}
    text, seen = "", set()
    for token in TOKEN.split(pattern):
        if token in groups:
            name = token.strip("{}")
            text += f"(?P={name})" if name in seen else f"(?P<{name}>{groups[token]})"
            seen.add(name)
        else:
            text += wild.get(token) or re.escape(token)
    return re.compile(text)
