"""A light BIDS reader: one walk over the folder, no index, fast for thousands of subjects."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
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
# Entities whose value tells that a ``dseg`` shows anatomical classes, and the value.
ANATOMY, ANATOMY_ENTITIES = "anatomy", ("seg", "desc", "label")
LESION_WORDS = ("lesion", "tumour", "tumor", "stroke", "wmh", "anomaly")
TISSUES = ("gm", "wm", "csf", "bg", "cgm", "sgm", "bone", "st", "head", "skull")
NAME = re.compile(r"^(?P<entities>sub-[^.]+)_(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?$")


@dataclass(frozen=True)
class BidsFile:
    """One NIfTI file of a BIDS folder: its path, what its name says, and where it stands.

    ``folder`` holds the ``sub`` and ``ses`` of the folders around it, as far as there are any.
    """

    path: str
    entities: dict[str, str]
    suffix: str
    folder: dict[str, str]
    derived: bool

    @property
    def scan(self) -> tuple[str, str]:
        """Subject and session."""
        return self.entities["sub"], self.entities.get("ses", "")

    @property
    def words(self) -> str:
        """The name without subject and session, in lower case."""
        rest = [f"{k}-{v}" for k, v in self.entities.items() if k not in ("sub", "ses")]
        return "_".join([*rest, self.suffix]).lower()

    @property
    def plainness(self) -> tuple:
        """Order among files that could stand for each other; the first is used."""
        run = self.entities.get("run", "0")
        number = int(run) if run.isdigit() else 0
        rest = [key for key in self.entities if key not in ("sub", "ses", "run", "ce")]
        return len(rest), number, self.path


@dataclass
class _Found:
    """What a folder holds of one scan."""

    images: dict[str, list[BidsFile]] = field(default_factory=dict)
    brains: list[BidsFile] = field(default_factory=list)
    lesions: list[BidsFile] = field(default_factory=list)
    anatomies: list[BidsFile] = field(default_factory=list)


def read_bids(folder: Path, cohort: str) -> tuple[list[Scan], list[str]]:
    """Scans of a BIDS folder and every problem found.

    Images are ``sub-*/[ses-*/]anat/*_{T1w,T2w,FLAIR,PD,PDw,DWI}.nii[.gz]`` (also without ``anat``,
    and below ``rawdata``); T1w with ``ce-`` is T1ce; phase images (``part-phase``) are passed over.
    Of several files of one contrast the one with the fewest entities (acq, rec, space, desc, ...)
    is used, then the lowest ``run``, then the first by name; where only these two decide, the scan
    says so (``odd``).

    Masks are found beside the images and below ``derivatives/[PIPELINE/]sub-*``.
    Brain: ``desc-brain_mask``. Lesions: a name with a lesion word (``label-lesion_mask``,
    ``label-tumour_dseg``), ``*_roi``, or any other ``label-*_dseg`` that is no tissue. Of several,
    one in the ``space`` of the images comes first, then ``label-lesion``, then as for images.
    Anatomical classes: ``seg-anatomy_dseg`` (or ``desc-``, ``label-``).
    """
    found: dict[tuple[str, str], _Found] = {}
    problems = []
    try:
        for file in _walk(folder):
            kind = _kind(file)
            if not kind or (kind == "image" and file.derived):
                continue
            if any(file.entities[key] != value for key, value in file.folder.items()):
                where = "_".join(f"{key}-{value}" for key, value in file.folder.items())
                problems.append(
                    f"{file.path}: stands in the folder of {where}, but its name says otherwise; "
                    "rename or move it"
                )
                continue
            _add(found.setdefault(file.scan, _Found()), file, kind)
        covariates = _participants(folder)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return [], [f"{folder}: cannot be read: {error}"]
    sessions = Counter(subject for (subject, _), one in found.items() if one.images)
    scans = []
    for (subject, session), one in sorted(found.items()):
        if one.images:
            # A mask without session belongs to a subject's only session.
            shared = found.get((subject, "")) if sessions[subject] == 1 else None
            scans.append(
                _scan(cohort, subject, session, one, shared or one, covariates.get(subject, {}))
            )
    if not scans:
        problems.append(
            f"{folder}: no image found; expected sub-*/[ses-*/]anat/sub-*_T1w.nii.gz or another of "
            f"{', '.join(SUFFIXES)}"
        )
    return scans, problems


def subjects_without_images(folder: Path, scans: list[Scan], cohort: str) -> list[Scan]:
    """Subjects of a BIDS folder that have a folder of their own, and no image that is used."""
    known = {scan.subject for scan in scans}
    named = {
        one.name.removeprefix("sub-")
        for place in ("", "rawdata")
        for one in _listed(folder / place)[0]
        if one.name.startswith("sub-")
    }
    covariates = _participants(folder)
    return [
        Scan(cohort, subject, covariates=covariates.get(subject, {}))
        for subject in sorted(named - known)
    ]


def _walk(folder: Path) -> Iterator[BidsFile]:
    """NIfTI files of all subjects, each folder listed once."""
    for name in ("", "rawdata"):
        folders, _ = _listed(folder / name)
        for one in folders:
            if one.name.startswith("sub-"):
                yield from _subject_files(one, derived=False)
    for pipeline in [folder / "derivatives", *_listed(folder / "derivatives")[0]]:
        folders, files = _listed(pipeline)
        if not Path(pipeline).name.startswith("sub-"):
            yield from _parsed(files, {}, derived=True)
            for one in folders:
                if one.name.startswith("sub-"):
                    yield from _subject_files(one, derived=True)


def _subject_files(subject: os.DirEntry, derived: bool) -> Iterator[BidsFile]:
    waiting = [(subject, {"sub": subject.name.removeprefix("sub-")})]
    while waiting:
        folder, around = waiting.pop()
        folders, files = _listed(folder)
        yield from _parsed(files, around, derived)
        for one in folders:
            if one.name.startswith("ses-"):
                waiting.append((one, {**around, "ses": one.name.removeprefix("ses-")}))
            elif one.name == "anat":
                waiting.append((one, around))


def _listed(folder: str | os.PathLike) -> tuple[list[os.DirEntry], list[os.DirEntry]]:
    """Folders and other entries inside a folder, by name; nothing when it does not exist."""
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda one: one.name)
    except FileNotFoundError:
        return [], []
    folders = [one for one in ordered if one.is_dir()]
    return folders, [one for one in ordered if not one.is_dir()]


def _parsed(files: list[os.DirEntry], around: dict, derived: bool) -> Iterator[BidsFile]:
    for entry in files:
        match = NAME.match(entry.name)
        if match:
            pairs = [part.partition("-") for part in match["entities"].split("_")]
            entities = {**around, **{key: value for key, _, value in pairs}}
            yield BidsFile(entry.path, entities, match["suffix"], around, derived)


def _kind(file: BidsFile) -> str:
    """``image``, ``brain``, ``lesion``, ``anatomy``, or "" for what is not used."""
    label = file.entities.get("label", "").lower()
    if file.suffix in SUFFIXES:
        if any(word in key.lower() for key in file.entities for word in LESION_WORDS):
            return "lesion"  # sub-01_lesion_T1w: a mask on the grid of T1w
        return "image" if file.entities.get("part", "mag") == "mag" else ""
    if file.suffix not in ("mask", "dseg", "roi", "msk", "lesion", "brainmask"):
        return ""
    if file.suffix == "dseg" and ANATOMY in map(file.entities.get, ANATOMY_ENTITIES):
        return "anatomy"
    if any(word in file.words for word in LESION_WORDS) or file.suffix in ("roi", "msk"):
        return "lesion"
    if file.suffix == "brainmask":
        return "brain"
    if file.suffix == "mask":
        return "brain" if "brain" in f"{label} {file.entities.get('desc', '').lower()}" else ""
    return "lesion" if label and label not in TISSUES and "brain" not in label else ""


def _add(one: _Found, file: BidsFile, kind: str) -> None:
    if kind == "image":
        contrast = SUFFIXES[file.suffix]
        if contrast == "T1w" and "ce" in file.entities:
            contrast = "T1ce"
        one.images.setdefault(contrast, []).append(file)
    else:
        masks = {"brain": one.brains, "lesion": one.lesions, "anatomy": one.anatomies}
        masks[kind].append(file)


def _scan(
    cohort: str, subject: str, session: str, one: _Found, shared: _Found, covariates: dict
) -> Scan:
    images = {
        contrast: min(files, key=lambda file: file.plainness)
        for contrast, files in sorted(one.images.items())
    }
    spaces = {file.entities.get("space", "") for file in images.values()}
    return Scan(
        cohort=cohort,
        subject=subject,
        session=session,
        images={contrast: file.path for contrast, file in images.items()},
        brain_mask=_mask(one.brains or shared.brains, spaces),
        lesion_mask=_mask(one.lesions or shared.lesions, spaces),
        anatomy=_mask(one.anatomies or shared.anatomies, spaces),
        covariates=covariates,
        odd=tuple(
            line
            for contrast, files in sorted(one.images.items())
            if (line := _odd(contrast, files))
        ),
    )


def _odd(contrast: str, files: list[BidsFile]) -> str:
    """That several files are as plain; empty where one stands out."""
    ordered = sorted(files, key=lambda file: file.plainness)
    equal = [file for file in ordered if file.plainness[0] == ordered[0].plainness[0]]
    if len(equal) == 1:
        return ""
    listed = ", ".join(Path(file.path).name for file in equal)
    return (
        f"has {len(equal)} files for {contrast} ({listed}); the first is used: a table of scans "
        "can name another"
    )


def _mask(files: list[BidsFile], spaces: set[str]) -> str:
    def order(file: BidsFile) -> tuple:
        words = (file.entities.get("label") == "lesion", any(w in file.words for w in LESION_WORDS))
        return file.entities.get("space", "") not in spaces, -sum(words), file.plainness

    return min(files, key=order).path if files else ""


def _participants(folder: Path) -> dict[str, dict[str, str]]:
    """Covariates of ``participants.tsv`` by subject; ``n/a`` is left out."""
    path = folder / "participants.tsv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return {
        row["participant_id"].removeprefix("sub-"): {
            key: value
            for key, value in row.items()
            if key and key != "participant_id" and value not in ("n/a", "", None)
        }
        for row in rows
        if row.get("participant_id")
    }
