"""A light BIDS reader: one walk over the folder, no index, fast for thousands of subjects."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from normscan.cohorts.scans import Scan

SUFFIXES = {
    "T1w": "T1w",
    "T2w": "T2w",
    "FLAIR": "FLAIR",
    "PD": "PD",
    "PDw": "PD",
    "dwi": "DWI",
    "DWI": "DWI",
}
MASK_SUFFIXES = ("mask", "dseg", "roi", "probseg")
LESION_WORDS = ("lesion", "tumour", "tumor", "stroke", "wmh", "anomaly")
NAME = re.compile(r"^(?P<entities>sub-[^.]+)_(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?$")


@dataclass(frozen=True)
class BidsFile:
    """One NIfTI file of a BIDS folder."""

    path: str
    entities: dict[str, str]
    suffix: str

    @property
    def scan(self) -> tuple[str, str]:
        return self.entities["sub"], self.entities.get("ses", "")


def read_bids(folder: Path, cohort: str) -> tuple[list[Scan], list[str]]:
    """Scans of a BIDS folder and every problem found.

    Images are ``sub-*/[ses-*/]anat/*_{T1w,T2w,FLAIR,PD,PDw,dwi}.nii[.gz]``; ``ce-`` with T1w is
    T1ce. Of several files of one contrast the one with the fewest entities is taken, then the first
    by name (``run-1`` before ``run-2``). Masks are found beside the images and anywhere below
    ``derivatives/``: ``desc-brain_mask`` is the brain, ``label-*`` or a lesion word the lesions.
    """
    images: dict[tuple[str, str], dict[str, list[BidsFile]]] = {}
    brains: dict[tuple[str, str], list[BidsFile]] = {}
    lesions: dict[tuple[str, str], list[BidsFile]] = {}
    for file, derived in _walk(folder):
        kind = _kind(file)
        if kind == "brain":
            brains.setdefault(file.scan, []).append(file)
        elif kind == "lesion":
            lesions.setdefault(file.scan, []).append(file)
        elif kind == "image" and not derived:
            contrast = SUFFIXES[file.suffix]
            if contrast == "T1w" and "ce" in file.entities:
                contrast = "T1ce"
            images.setdefault(file.scan, {}).setdefault(contrast, []).append(file)
    covariates = _participants(folder)
    scans = []
    for (subject, session), found in sorted(images.items()):
        scans.append(
            Scan(
                cohort,
                subject,
                session,
                {contrast: _plainest(files) for contrast, files in sorted(found.items())},
                _plainest(_of(brains, subject, session)),
                _plainest(_of(lesions, subject, session)),
                covariates.get(subject, {}),
            )
        )
    problems = [] if scans else [f"{folder}: no sub-*/anat/*_T1w.nii.gz or other contrast found"]
    return scans, problems


def _walk(folder: Path) -> Iterator[tuple[BidsFile, bool]]:
    """Every NIfTI file with a subject, and whether it lies below ``derivatives``."""
    waiting = [(str(folder), False)]
    while waiting:
        current, derived = waiting.pop()
        with os.scandir(current) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.is_dir():
                    inner = derived or entry.name == "derivatives"
                    if not entry.name.startswith(".") and entry.name not in ("code", "sourcedata"):
                        waiting.append((entry.path, inner))
                    continue
                match = NAME.match(entry.name)
                if match:
                    pairs = [part.partition("-") for part in match["entities"].split("_")]
                    entities = {key: value for key, _, value in pairs}
                    yield BidsFile(entry.path, entities, match["suffix"]), derived


def _kind(file: BidsFile) -> str:
    if file.suffix in MASK_SUFFIXES:
        words = " ".join([file.entities.get("label", ""), file.entities.get("desc", "")]).lower()
        if "brain" in words:
            return "brain"
        if (
            "label" in file.entities
            or file.suffix == "roi"
            or any(w in words for w in LESION_WORDS)
        ):
            return "lesion"
        return ""
    return "image" if file.suffix in SUFFIXES else ""


def _of(found: dict, subject: str, session: str) -> list[BidsFile]:
    """Files of a scan; a mask without session belongs to a subject's only session."""
    return found.get((subject, session)) or found.get((subject, ""), [])


def _plainest(files: list[BidsFile]) -> str:
    if not files:
        return ""
    return min(files, key=lambda one: (len(one.entities), one.path)).path


def _participants(folder: Path) -> dict[str, dict[str, str]]:
    path = folder / "participants.tsv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return {
        row["participant_id"].removeprefix("sub-"): {
            key: value for key, value in row.items() if key != "participant_id" and value != "n/a"
        }
        for row in rows
        if row.get("participant_id")
    }
