"""Whose DICOM files a folder holds, and which volumes they will become; opens no image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from normscan.cohorts.scans import Scan, label
from normscan.files import value_digest

SESSION = "ses-"
# A file of DICOM starts with 128 bytes of anything and this.
PREAMBLE, MAGIC = 128, b"DICM"
INDEX = "DICOMDIR"

Owner = tuple[str, str]


@dataclass(frozen=True)
class Dicom:
    """Where the scans of a cohort come from.

    Attributes
    ----------
    series : contrast -> regular expression of the description of its series.
    sources : scan -> folder of its DICOM files.
    """

    series: dict[str, str]
    sources: dict[str, str]


def scan_sources(folder: Path, single: bool = False) -> dict[str, str]:
    """Scan -> folder of its DICOM files (absolute), as of :func:`scan_folders`."""
    owners = scan_folders(Path(os.path.abspath(folder)), single)[0].items()
    return {Scan("", *owner).id: str(path) for owner, path in owners}


def read_dicom(
    folder: Path, cohort: str, series: dict[str, str], made: Path, single: bool = False
) -> tuple[list[Scan], list[str]]:
    """Scans of a folder of DICOM files as they will be once converted, and every problem found.

    Parameters
    ----------
    folder, single : as of :func:`scan_folders`.
    series : contrast -> regular expression of the description of its series.
    made : folder of the volumes that series are converted to.
    """
    try:
        owners, problems = scan_folders(folder, single)
    except OSError as error:
        return [], [f"{folder}: cannot be read: {error}"]
    scans = []
    for (subject, session), source in owners.items():
        scan = Scan(cohort, subject, session)
        if not any(True for _ in dicom_files(source)):
            problems.append(
                f"{scan.id}: {source}: holds no file; copy it again or exclude the scan"
            )
        images = {contrast: str(converted(made, scan, contrast)) for contrast in series}
        scans.append(Scan(cohort, subject, session, images))
    if not scans and not problems:
        problems.append(f"{folder}: no folder of a subject found, and no DICOM file")
    return scans, problems


def converted(folder: Path, scan: Scan, contrast: str) -> Path:
    """The volume that a series of a scan is converted to."""
    session = [f"{SESSION}{scan.session}"] if scan.session else []
    return folder.joinpath(f"sub-{scan.subject}", *session, "anat", f"{scan.id}_{contrast}.nii.gz")


def scan_folders(folder: Path, single: bool = False) -> tuple[dict[Owner, Path], list[str]]:
    """(subject, session) -> the folder of their files, and folders whose names give one label.

    A folder with DICOM files right in it is one scan, named after it. In all others every folder is
    a subject; those named ``ses-*`` in it are its sessions. Labels are names without everything but
    letters and digits.

    Parameters
    ----------
    single : the folder is one scan, whatever folders are in it.
    """
    if single or any(_is_dicom(Path(folder, name)) for name in _names(folder, folders=False)):
        return {(subject_label(folder.name) or "scan", ""): folder}, []
    found: dict[Owner, Path] = {}
    problems = []
    for name in _names(folder, folders=True):
        inside = [one for one in _names(folder / name, folders=True) if one.startswith(SESSION)]
        for session in inside or [""]:
            owner = subject_label(name), label(session.removeprefix(SESSION))
            place = folder / name / session
            if not owner[0]:
                problems.append(f"{place}: has neither a letter nor a digit in its name; rename it")
            elif owner in found:
                problems.append(
                    f"{place}: gives the same label as {found[owner]}, '{owner[0]}'; rename one"
                )
            else:
                found[owner] = place
    return found, problems


def subject_label(name: str) -> str:
    """A subject's label from the name of its folder or file."""
    return label(name.removeprefix("sub-"))


def dicom_files(folder: Path) -> Iterator[Path]:
    """Files below a folder that may be DICOM, by name; their names say nothing."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name != INDEX:
                yield Path(root, name)


def listing_digest(folder: Path, times: bool = False) -> str:
    """Digest of names and sizes of a folder's files.

    Thousands of files are too many to be inputs of a rule one by one, and to be read at each plan.

    Parameters
    ----------
    times : count times of modification as well: files that were only touched differ then.
    """
    found = []
    for path in dicom_files(folder):
        about = path.stat()
        name = str(path.relative_to(folder))
        found.append([name, about.st_size, *([about.st_mtime_ns] if times else [])])
    return value_digest(found)


def expression_problems(series: dict[str, str]) -> list[str]:
    """Regular expressions that are none."""
    problems = []
    for contrast, text in series.items():
        try:
            re.compile(text)
        except re.error as error:
            problems.append(f"series.{contrast}: '{text}' is no regular expression: {error}")
    return problems


def _names(folder: Path, folders: bool) -> list[str]:
    with os.scandir(folder) as entries:
        found = [one.name for one in entries if one.is_dir() == folders]
    return sorted(one for one in found if not one.startswith(".") and one != INDEX)


def _is_dicom(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC
