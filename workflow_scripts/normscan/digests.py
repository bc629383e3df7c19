"""Digests of what jobs made: damage is found, and it is said how to make a file again.

Every job leaves a list of its files, a size and a digest of each (``layout.DIGEST``). No rule reads
these lists, so they make nothing stale.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normscan.errors import NormscanError
from normscan.files import file_digest, file_digests, inside, read_json, write_json
from normscan.layout import DIGEST, DIGESTS, RUNNING

MISSING = "missing"
COMMAND = "snakemake --force"


@dataclass(frozen=True)
class Damage:
    """A file that is not as a job left it.

    Attributes
    ----------
    file, problem : which, and what of it.
    rule : that made it.
    target : file that Snakemake makes it with.
    order : the lower, the earlier its job ended.
    """

    file: str
    problem: str
    rule: str
    target: str
    order: int

    def __str__(self) -> str:
        return f"{self.file}: {self.problem} (of rule {self.rule})"


@dataclass(frozen=True)
class _Made:
    """A file as a job left it."""

    size: int
    digest: str
    rule: str
    target: str
    order: int


def record_path(results: str | Path, rule: str, job: str) -> Path:
    """Where a job's list stands."""
    return Path(results, DIGEST.format(rule=rule, job=job))


def write_record(
    results: str | Path, rule: str, job: str, outputs: Iterable[str], files: Iterable[Path]
) -> None:
    """Write down what a job made, if anything; the first output is what makes it again.

    Parameters
    ----------
    outputs : that the rule declares.
    files : all that it wrote or kept; what lies outside of the results does not count.
    """
    root = Path(os.path.abspath(results))
    outputs = list(outputs)
    paths = {Path(os.path.abspath(path)) for path in (*outputs, *files)}
    names = sorted(str(path.relative_to(root)) for path in paths if path.is_relative_to(root))
    names = [name for name in names if name.split(os.sep)[0] not in (DIGESTS, RUNNING)]
    if outputs and names:
        target = os.path.relpath(outputs[0], results)
        content = {"rule": rule, "target": target, "files": file_digests(root, names)}
        write_json(record_path(results, rule, job), content)


def remove_former(results: str | Path, rule: str, job: str, files: Iterable[Path]) -> None:
    """Remove what a job left when it last ended and has not written now.

    Parameters
    ----------
    files : that it has written now.
    """
    try:
        content = read_json(record_path(results, rule, job))
        former = [inside(results, name) for name in content["files"]]
    except (NormscanError, KeyError, TypeError):
        return
    now = {Path(os.path.abspath(path)) for path in files}
    for path in former:
        if path not in now:
            path.unlink(missing_ok=True)


def damages(
    results: str | Path,
    near: Iterable[str] | None = None,
    busy: Container[str] = (),
    threads: int = 1,
) -> tuple[list[Damage], int]:
    """Files that are not as jobs left them, and how many were looked at.

    Parameters
    ----------
    near : of jobs that made one of these all content is read; of others sizes are looked at where
        there is a file, since other jobs may be about to make it. None: everything is read.
    busy : ``rule/job`` of jobs at work, whose files are passed by.
    threads : that read side by side.
    """
    made: dict[str, list[_Made]] = {}
    for order, one in enumerate(_records(results, busy)):
        rule, target = one["rule"], str(Path(results, one["target"]))
        for name, (size, digest) in one["files"].items():
            made.setdefault(name, []).append(_Made(size, digest, rule, target, order))
    wanted = None if near is None else {os.path.relpath(path, results) for path in near}
    targets = {one.target for name in wanted or () for one in made.get(name, ())}

    def look(name: str) -> Damage | None:
        last = made[name][-1]
        deep = wanted is None or last.target in targets
        problem = _problem(Path(results, name), made[name], deep)
        if not problem or (problem == MISSING and not deep):
            return None
        return Damage(str(Path(results, name)), problem, last.rule, last.target, last.order)

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        found = list(pool.map(look, sorted(made)))
    return [one for one in found if one], len(made)


def _records(results: str | Path, busy: Container[str]) -> Iterator[dict[str, Any]]:
    """All lists of a folder of results, the oldest first; a broken one is no list."""
    root = Path(results, DIGESTS)
    for path in sorted(root.rglob("*.json"), key=lambda one: (one.stat().st_mtime_ns, str(one))):
        if path.relative_to(root).with_suffix("").as_posix() in busy:
            continue
        try:
            content = read_json(path)
        except NormscanError:
            continue
        if {"rule", "target", "files"} <= set(content):
            yield content


def _problem(path: Path, made: list[_Made], deep: bool) -> str:
    """What is wrong with a file; empty where it is as one of the jobs that wrote it left it."""
    try:
        size = path.stat().st_size
        alike = [one for one in made if one.size == size]
        if not alike:
            return f"{size} bytes instead of {made[-1].size}"
        if deep and file_digest(path) not in {one.digest for one in alike}:
            return "other content than it was made with"
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""


def damage_lines(found: Iterable[Damage]) -> str:
    """Damaged files, and the commands that make them again.

    A command for each rule, the earlier first: what is made again has the bytes it had, which
    Snakemake sees from one run to the next, but not within one.
    """
    found = list(found)
    targets: dict[str, dict[str, None]] = {}
    for one in sorted(found, key=lambda one: one.order):
        targets.setdefault(one.rule, {})[one.target] = None
    are = "is" if len(found) == 1 else "are"
    return "\n".join(
        [
            f"{len(found)} of the files that earlier jobs made {are} no longer as they left them:",
            *(f"  - {one}" for one in found),
            "make them again, with the options of the run, and start that once more:",
            *(f"  {COMMAND} {' '.join(map(shlex.quote, own))}" for own in targets.values()),
        ]
    )


def forget(results: str | Path, gone: Iterable[Path]) -> None:
    """Take files that are removed on purpose off all lists."""
    names = {os.path.relpath(path, results) for path in gone}
    for path in Path(results, DIGESTS).rglob("*.json"):
        try:
            content = read_json(path)
            kept = {name: one for name, one in content["files"].items() if name not in names}
        except (NormscanError, KeyError):
            continue
        if len(kept) < len(content["files"]):
            write_json(path, {**content, "files": kept})
