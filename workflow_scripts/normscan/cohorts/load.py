"""A cohort from its entry in ``config.yaml``; reads folders and tables, opens no image."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from normscan.cohorts.bids import SUFFIXES, read_bids, subjects_without_images
from normscan.cohorts.chosen import choose, is_taken, nearest
from normscan.cohorts.dicom.folders import expression_problems, read_dicom
from normscan.cohorts.layouts import layout_names, read_layout, scans_of_layout
from normscan.cohorts.plan_simulation import planned_scans
from normscan.cohorts.scans import CONTRASTS, PRIORS, ROLES, Cohort, Scan, label, labels_of
from normscan.cohorts.table import read_table
from normscan.errors import CohortError
from normscan.layout import CONVERTED_FOLDER, SIMULATED_FOLDER
from normscan.paths import path_problem

SYNTHETIC, DICOM, FILES = "synthetic", "dicom", "files"
# Sources whose images a rule makes, and those of them that make them of nothing that is there.
MADE = ("simulated", SYNTHETIC, DICOM)
OF_NOTHING = ("simulated", SYNTHETIC)
WITHOUT_PATH = (FILES, *OF_NOTHING)


def load_cohort(
    name: str,
    entry: dict[str, Any],
    base: Path,
    *,
    results: Path,
    needed_contrasts: Sequence[str] = (),
    on_bad_scan: str = "stop",
    synthetic: Sequence[Scan] = (),
) -> tuple[Cohort, dict[str, str]]:
    """Find a cohort's scans and check what can be checked without opening them.

    Parameters
    ----------
    name : of the cohort.
    entry : its entry under ``config.cohorts``; keys: ``source`` (``table``, ``bids``,
        ``dicom``, ``files``, ``simulated``, ``synthetic`` or a known layout), ``path``,
        ``images``, ``series``, ``single``, ``role``, ``prior``, ``skull_stripped``, ``space``,
        ``lesion_classes``, ``ignored_labels``,
        ``anatomy_classes``, ``contrasts``, ``include``, ``where``, ``exclude``, ``simulation``.
        A layout has defaults for most of them.
    base : folder that a relative ``path`` starts from.
    results : folder of results, below which simulated and converted cohorts are written.
    needed_contrasts : contrasts that each scan must have.
    on_bad_scan : ``stop``, or ``exclude`` to go on without scans that have a problem of their own.
    synthetic : scans of a ``synthetic`` cohort, as of ``plan_synthetic``.

    Returns
    -------
    cohort, excluded : excluded maps scan ids to reasons (empty unless ``exclude``). Lesion masks
        are kept for patients only, label maps of anatomy where the entry declares their classes.

    Raises
    ------
    CohortError : all problems of the cohort at once.
    """
    entry = {**_defaults(entry), **entry}
    problems = _entry_problems(entry)
    if problems:
        raise CohortError(name, problems)
    if entry["source"] == SYNTHETIC:
        scans, problems = list(synthetic), []
    else:
        scans, problems = _scans(name, entry, Path(base), Path(results))
    if not scans:
        raise CohortError(name, problems)
    empty = _without_images(name, entry, Path(base), scans)
    taken, wrong = choose(entry, scans, empty)
    scans = [_restricted(scan, entry) for scan in taken]
    problems += wrong + _duplicates(scans)
    bad = {
        scan.id: found for scan in scans if (found := _scan_problems(scan, entry, needed_contrasts))
    }
    if on_bad_scan == "stop" or len(bad) == len(scans):
        problems += [f"{scan}: {line}" for scan, found in bad.items() for line in found]
    if problems:
        raise CohortError(name, problems)
    cohort = Cohort(
        name=name,
        role=entry["role"],
        prior=entry.get("prior", "none"),
        skull_stripped=entry.get("skull_stripped", False),
        space=entry.get("space", ""),
        lesion_classes=entry.get("lesion_classes", {}),
        ignored_labels=tuple(entry.get("ignored_labels", ())),
        anatomy_classes=entry.get("anatomy_classes", {}),
        scans=tuple(scan for scan in scans if scan.id not in bad),
        warnings=tuple(_warnings(scans, [one for one in empty if is_taken(one, entry)])),
    )
    return cohort, {scan: "; ".join(found) for scan, found in bad.items()}


def _defaults(entry: dict) -> dict[str, Any]:
    source = entry.get("source")
    found = dict(read_layout(source)["defaults"]) if source in layout_names() else {}
    # A label that the entry seeks is not ignored because the layout's own classes do without it.
    sought = labels_of(entry.get("lesion_classes") or {})
    return found | {
        "ignored_labels": [one for one in found.get("ignored_labels", ()) if one not in sought]
    }


def _entry_problems(entry: dict) -> list[str]:
    problems = []
    sources = ["table", "bids", DICOM, FILES, *OF_NOTHING, *layout_names()]
    source = entry.get("source", "")
    problems += _value_problem("source", source, sources)
    if source in sources and source not in WITHOUT_PATH and not entry.get("path"):
        problems.append(f"path: is missing; source '{source}' needs it")
    problems += _value_problem("role", entry.get("role", ""), ROLES)
    problems += _image_problems(source, entry.get("images") or {})
    problems += _series_problems(source, entry.get("series") or {})
    problems += _class_problems(entry.get("anatomy_classes") or {})
    problems += _value_problem("prior", entry.get("prior", "none"), PRIORS)
    classes = entry.get("lesion_classes") or {}
    if both := sorted(labels_of(classes) & set(entry.get("ignored_labels") or [])):
        problems.append(f"ignored_labels: {both} stand in lesion_classes as well; leave one out")
    if entry.get("ignored_labels") and not classes:
        problems.append(
            "ignored_labels: without lesion_classes every label but 0 is sought; name them"
        )
    for contrast in entry.get("contrasts") or []:
        problems += _value_problem("contrasts", contrast, CONTRASTS, "unknown contrast ")
    return problems


def _image_problems(source: str, images: dict[str, str]) -> list[str]:
    """The files of one scan by contrast, which source ``files`` names and nobody else."""
    if source != FILES:
        return [f"images: is for source '{FILES}' only; remove it"] if images else []
    if not images:
        return ["images: is missing; name the scan's files: images: {FLAIR: a.nii.gz}"]
    problems = []
    for contrast in images:
        problems += _value_problem("images", contrast, CONTRASTS, "unknown contrast ")
    return problems


def _series_problems(source: str, series: dict[str, str]) -> list[str]:
    """What DICOM series are which contrast, and nobody else says."""
    if source != DICOM:
        return [f"series: is for source '{DICOM}' only; remove it"] if series else []
    if not series:
        return [
            "series: is missing; write which series is which contrast, by a regular expression of "
            "its description: series: {FLAIR: 't2.*flair'}"
        ]
    problems = []
    for contrast in series:
        problems += _value_problem("series", contrast, CONTRASTS, "unknown contrast ")
    return problems + expression_problems(series)


def _class_problems(classes: dict[str, Any]) -> list[str]:
    """Labels that two anatomical classes would share."""
    owners: dict[int, list[str]] = {}
    for name, labels in classes.items():
        for one in labels if isinstance(labels, list) else [labels]:
            owners.setdefault(one, []).append(name)
    return [
        f"anatomy_classes: label {one} stands for {' and '.join(names)}; a label is of one class"
        for one, names in owners.items()
        if len(names) > 1
    ]


def _value_problem(key: str, value: str, allowed: Sequence[str], what: str = "found ") -> list[str]:
    if value in allowed:
        return []
    choice = f"allowed: {', '.join(allowed)}"
    if not value:
        return [f"{key}: is missing; {choice}"]
    return [f"{key}: {what}'{value}'{nearest(value, allowed)}; {choice}"]


def _scans(name: str, entry: dict, base: Path, results: Path) -> tuple[list[Scan], list[str]]:
    if entry["source"] == "simulated":
        folder = results / SIMULATED_FOLDER.format(cohort=name)
        return planned_scans(name, entry.get("simulation", {}), folder)
    if entry["source"] == FILES:
        return [_scan_of_files(name, entry["images"], base)], []
    path = Path(os.path.abspath(base / entry["path"]))
    if entry["source"] == "table":
        return read_table(path, name) if path.is_file() else ([], [f"path: {path}: no such table"])
    if not path.is_dir():
        return [], [f"path: {path}: no such folder"]
    if entry["source"] == "bids":
        return read_bids(path, name)
    if entry["source"] == DICOM:
        made = results / CONVERTED_FOLDER.format(cohort=name)
        return read_dicom(path, name, entry["series"], made, bool(entry.get("single")))
    return scans_of_layout(path, entry["source"], name)


def _without_images(name: str, entry: dict, base: Path, scans: list[Scan]) -> list[Scan]:
    """Subjects whose folder is there and holds nothing; only BIDS says so."""
    if entry["source"] != "bids":
        return []
    return subjects_without_images(Path(os.path.abspath(base / entry["path"])), scans, name)


def _warnings(scans: Iterable[Scan], empty: Iterable[Scan]) -> list[str]:
    """What is odd about the scans that were found, and about subjects without any."""
    found = [f"{scan.id}: {line}" for scan in scans for line in scan.odd]
    expected = ", ".join(dict.fromkeys(SUFFIXES))
    return found + [
        f"{scan.id}: its folder has no image that is used ({expected}); restore it, or list it "
        "under 'exclude'"
        for scan in empty
    ]


def _scan_of_files(name: str, images: dict[str, str], base: Path) -> Scan:
    """The one scan of a cohort; the cohort's name says whose it is, as names of BIDS files do."""
    entities = dict(part.split("-", 1) for part in name.split("_") if "-" in part)
    subject = label(entities.get("sub", "")) or label(name)
    paths = {contrast: os.path.abspath(base / path) for contrast, path in images.items()}
    return Scan(name, subject, label(entities.get("ses", "")), paths)


def _restricted(scan: Scan, entry: dict) -> Scan:
    """Without the contrasts that the entry leaves out; lesion masks are for patients only.

    Label maps of anatomy mean nothing without the names of their classes, and screening has no use
    for them.
    """
    wanted = entry.get("contrasts") or CONTRASTS
    images = {contrast: path for contrast, path in scan.images.items() if contrast in wanted}
    lesion = scan.lesion_mask if entry["role"] == "patients" else ""
    asked = entry.get("anatomy_classes") and entry["role"] != "unlabelled"
    anatomy = scan.anatomy if asked else ""
    return replace(scan, images=images, lesion_mask=lesion, anatomy=anatomy)


def _duplicates(scans: list[Scan]) -> list[str]:
    return [
        f"{scan}: stands {count} times; every subject and session must stand once"
        for scan, count in Counter(scan.id for scan in scans).items()
        if count > 1
    ]


def _scan_problems(scan: Scan, entry: dict, needed: Iterable[str]) -> list[str]:
    problems = []
    there = ", ".join(sorted(scan.images)) or "none"
    for contrast in needed:
        if contrast not in scan.images:
            problems.append(f"has no {contrast}, which the protocols need; it has: {there}")
    if not scan.images and not problems:
        problems.append("has no image of a contrast that is used; see 'contrasts'")
    if entry["role"] == "patients" and not scan.lesion_mask:
        problems.append(
            "has no lesion mask; cohorts of role 'patients' need one (or use 'unlabelled')"
        )
    if entry["source"] not in MADE:
        masks = {"brain_mask": scan.brain_mask, "lesion_mask": scan.lesion_mask}
        for kind, path in {**scan.images, **masks, "anatomy": scan.anatomy}.items():
            if path and (wrong := path_problem(path)):
                problems.append(f"{kind}: {path!r}: {wrong}")
            elif path and not os.path.isfile(path):
                what = "broken link" if os.path.islink(path) else "no such file"
                problems.append(f"{kind}: {path}: {what}; restore it or exclude the scan")
    return problems
