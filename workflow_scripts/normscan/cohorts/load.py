"""A cohort from its entry in ``config.yaml``; reads folders and tables, opens no image."""

from __future__ import annotations

import difflib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from normscan.cohorts.bids import read_bids
from normscan.cohorts.layouts import layout_names, read_layout, scans_of_layout
from normscan.cohorts.plan_simulation import planned_scans
from normscan.cohorts.scans import CONTRASTS, Cohort, Scan
from normscan.cohorts.table import read_table
from normscan.errors import CohortError


def load_cohort(
    name: str,
    entry: dict[str, Any],
    base: Path,
    *,
    simulated_root: Path,
    needed_contrasts: list[str],
    on_bad_scan: str = "stop",
) -> tuple[Cohort, dict[str, str]]:
    """Find a cohort's scans and check what can be checked without opening them.

    Parameters
    ----------
    name : of the cohort.
    entry : its checked entry under ``config.cohorts``.
    base : folder that a relative ``path`` starts from.
    simulated_root : folder below which simulated cohorts are written.
    needed_contrasts : contrasts that each scan must have.
    on_bad_scan : ``stop`` or ``exclude``.

    Returns
    -------
    cohort, excluded : excluded maps scan ids to reasons (empty unless ``exclude``).

    Raises
    ------
    CohortError : all problems of the cohort at once.
    """
    entry = {**_defaults(entry), **entry}
    problems = _entry_problems(entry)
    if problems:
        raise CohortError(name, problems)
    scans, problems = _scans(name, entry, base, simulated_root)
    if problems:
        raise CohortError(name, problems)
    problems = _exclude_problems(entry, scans)
    scans = [_restricted(scan, entry) for scan in scans if not _excluded(scan, entry)]
    problems += _duplicates(scans)
    bad = {
        scan.id: found for scan in scans if (found := _scan_problems(scan, entry, needed_contrasts))
    }
    if on_bad_scan == "stop" or len(bad) == len(scans):
        problems += [f"{scan}: {line}" for scan, found in bad.items() for line in found]
    if not scans:
        problems.append("no scans are left; see 'exclude' and 'contrasts'")
    if problems:
        raise CohortError(name, problems)
    cohort = Cohort(
        name=name,
        role=entry["role"],
        prior=entry.get("prior", "none"),
        skull_stripped=entry.get("skull_stripped", False),
        space=entry.get("space", ""),
        lesion_classes=entry.get("lesion_classes", {}),
        scans=tuple(scan for scan in scans if scan.id not in bad),
    )
    return cohort, {scan: "; ".join(found) for scan, found in bad.items()}


def _defaults(entry: dict) -> dict[str, Any]:
    return read_layout(entry["source"])["defaults"] if entry["source"] in layout_names() else {}


def _entry_problems(entry: dict) -> list[str]:
    problems = []
    sources = ["table", "bids", "simulated", *layout_names()]
    if entry["source"] not in sources:
        hint = _nearest(entry["source"], sources)
        problems.append(f"source: found '{entry['source']}'{hint}; allowed: {', '.join(sources)}")
    elif entry["source"] != "simulated" and not entry.get("path"):
        problems.append(f"path: is missing; source '{entry['source']}' needs it")
    if "role" not in entry:
        problems.append("role: is missing; allowed: healthy, patients, unlabelled")
    for contrast in entry.get("contrasts", []):
        if contrast not in CONTRASTS:
            hint = _nearest(contrast, CONTRASTS)
            problems.append(
                f"contrasts: unknown contrast '{contrast}'{hint}; allowed: {', '.join(CONTRASTS)}"
            )
    return problems


def _scans(name: str, entry: dict, base: Path, simulated: Path) -> tuple[list[Scan], list[str]]:
    if entry["source"] == "simulated":
        return planned_scans(name, entry.get("simulation", {}), simulated / name)
    path = Path(os.path.abspath(base / entry["path"]))
    if entry["source"] == "table":
        if not path.is_file():
            return [], [f"path: {path}: no such table"]
        return read_table(path, name)
    if not path.is_dir():
        return [], [f"path: {path}: no such folder"]
    if entry["source"] == "bids":
        return read_bids(path, name)
    return scans_of_layout(path, entry["source"], name)


def _restricted(scan: Scan, entry: dict) -> Scan:
    """Without contrasts and masks that the entry leaves out."""
    wanted = entry.get("contrasts") or CONTRASTS
    images = {contrast: path for contrast, path in scan.images.items() if contrast in wanted}
    lesion = scan.lesion_mask if entry["role"] == "patients" else ""
    return replace(scan, images=images, lesion_mask=lesion)


def _excluded(scan: Scan, entry: dict) -> bool:
    names = {f"sub-{one.removeprefix('sub-')}" for one in entry.get("exclude", [])}
    return bool(names & {scan.id, f"sub-{scan.subject}"})


def _exclude_problems(entry: dict, scans: list[Scan]) -> list[str]:
    known = {name for scan in scans for name in (scan.id, f"sub-{scan.subject}")}
    return [
        f"exclude: no scan or subject '{one}'{_nearest(one, known)}"
        for one in entry.get("exclude", [])
        if f"sub-{one.removeprefix('sub-')}" not in known
    ]


def _duplicates(scans: list[Scan]) -> list[str]:
    seen: dict[str, int] = {}
    for scan in scans:
        seen[scan.id] = seen.get(scan.id, 0) + 1
    return [
        f"{scan}: stands {count} times; every subject and session must stand once"
        for scan, count in seen.items()
        if count > 1
    ]


def _scan_problems(scan: Scan, entry: dict, needed: list[str]) -> list[str]:
    problems = []
    for contrast in needed:
        if contrast not in scan.images:
            there = ", ".join(sorted(scan.images)) or "none"
            problems.append(f"has no {contrast}, which the protocols need; it has: {there}")
    if entry["role"] == "patients" and not scan.lesion_mask:
        problems.append(
            "has no lesion mask; cohorts of role 'patients' need one (or use 'unlabelled')"
        )
    if entry["source"] == "table":
        for kind, path in [
            *scan.images.items(),
            ("brain_mask", scan.brain_mask),
            ("lesion_mask", scan.lesion_mask),
        ]:
            if path and not os.path.isfile(path):
                problems.append(f"{kind}: {path}: no such file")
    return problems


def _nearest(name: str, known) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{near[0]}'?)" if near else ""
