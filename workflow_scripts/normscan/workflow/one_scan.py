"""One scan by one command: ``--config scan=FILE`` becomes a cohort when the run is planned."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from normscan import layout as places
from normscan.cohorts.bids import SUFFIXES
from normscan.cohorts.dicom.folders import dicom_files
from normscan.cohorts.load import DICOM, FILES
from normscan.cohorts.scans import CONTRASTS, PRIORS
from normscan.errors import ConfigError
from normscan.files import read_json
from normscan.workflow.bundled import bundle_folder
from normscan.workflow.schema import wrong_value

SCAN = "scan"
# What may be said of it beside where it is.
ABOUT = ("prior", "skull_stripped", "series")
MEANING = {
    SCAN: "a NIfTI file whose name ends in its contrast, a folder of such files or of DICOM files, "
    "or contrast -> file",
    "prior": "sign of what is sought; without it, none where bundles have a threshold for that, "
    "else the only one that they have",
    "skull_stripped": "it shows a brain only",
    "series": "of DICOM: contrast -> regular expression of the description of its series",
}
SCREENING = "screening"
WORDS = {"true": True, "yes": True, "false": False, "no": False}
NIFTI = (".nii", ".nii.gz")
NAMES = {
    name.lower(): contrast for name, contrast in [*SUFFIXES.items(), *zip(CONTRASTS, CONTRASTS)]
}
ANAT = "anat"
EXAMPLE = "--config scan='{FLAIR: a.nii.gz, T1w: b.nii.gz}'"


def with_scan(config: Mapping[str, Any], base: Path) -> tuple[dict[str, Any], str]:
    """The configuration with its ``scan`` as an unlabelled cohort, and that cohort's name.

    Parameters
    ----------
    config : ``scan`` is a file, a folder, or contrast -> file; beside it may stand ``prior``,
        ``skull_stripped`` and, of DICOM, ``series``.
    base : folder that relative paths start from.

    Returns
    -------
    config, name : as it is, and "", where there is no ``scan``.

    Raises
    ------
    ConfigError : it is not there, is no scan, or its contrast or sign prior must be said.
    """
    rest = {key: value for key, value in config.items() if key not in (SCAN, *ABOUT)}
    given = config.get(SCAN)
    if not given:
        if said := [key for key in ABOUT if key in config]:
            raise ConfigError(
                f"config.{said[0]}: is said of a scan; name it with 'scan', or its cohort"
            )
        return rest, ""
    entry, name = _entry(given, base, config.get("series"))
    cohorts = dict(rest.get("cohorts") or {})
    if name in cohorts:
        raise ConfigError(
            f"config.scan: {given} would be called '{name}', as is a cohort of the configuration; "
            "screen that one, or rename the file"
        )
    prior = config.get("prior") or _prior(rest, base)
    if prior not in PRIORS:
        raise ConfigError(wrong_value("config.prior", prior, PRIORS))
    stripped = config.get("skull_stripped", False)
    stripped = WORDS.get(str(stripped).lower(), stripped)
    if not isinstance(stripped, bool):
        raise ConfigError(wrong_value("config.skull_stripped", stripped, ("true", "false")))
    about = {"role": "unlabelled", "prior": prior, "skull_stripped": stripped}
    return {**rest, "cohorts": {**cohorts, name: {**entry, **about}}}, name


def lasting(config: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """What a report shows: the study, not what is screened between two runs of it.

    Parameters
    ----------
    config : with ``scan`` and what is said of it, or without.
    written : what files say; of ``screening`` beside a ``scan`` it is what lasts.
    """
    passing = (SCAN, *ABOUT)
    if config.get(SCAN) and SCREENING not in written:
        passing = (*passing, SCREENING)
    found = {key: value for key, value in config.items() if key not in passing}
    if config.get(SCAN) and SCREENING in found:
        found[SCREENING] = written[SCREENING]
    return found


def _entry(given: Any, base: Path, series: Any) -> tuple[dict[str, Any], str]:
    """Source and files of a cohort, and its name."""
    if isinstance(given, Mapping):
        images = {contrast: _there(path, base) for contrast, path in given.items()}
        first = next(iter(images.values()))
        return _of_files(images), _cohort_name(_stem(first)[0] or _folder_name(first.parent))
    path = _there(given, base)
    if path.is_file():
        stem, contrast = _stem(path)
        if not path.name.endswith(NIFTI):
            raise ConfigError(f"config.scan: {path}: is no NIfTI file; of DICOM, name its folder")
        if not contrast:
            raise ConfigError(
                f"config.scan: {path}: its name ends in no contrast ({', '.join(CONTRASTS)}); say "
                "which it is: --config scan='{FLAIR: " + str(given) + "}'"
            )
        return _of_files({contrast: path}), _cohort_name(stem or _folder_name(path.parent))
    if images := _images(path):
        return _of_files(images), _cohort_name(_folder_name(path))
    return _of_dicom(path, series), _cohort_name(path.name)


def other_scan(results: Path, name: str, entry: Mapping[str, Any]) -> str:
    """That results of this name are another scan's, which is not replaced unasked; empty if not.

    Parameters
    ----------
    results : folder of results.
    name, entry : of the cohort of one.
    """
    if entry["source"] == DICOM:
        template, own = places.CONVERTED, {entry["path"]}
    else:
        template, own = places.RAW_SCANS, set(entry["images"].values())
    manifests = sorted(results.glob(places.pattern(template.replace("{cohort}", name))))
    found = {path for manifest in manifests for path in _sources(read_json(manifest), entry)}
    if not found or found & own:
        return ""
    return (
        f"config.scan: {results / places.SCREENING_PAGE.format(cohort=name)} is of another scan, "
        f"{min(found)}; rename this one, or remove {manifests[0].parent} to put it in its place"
    )


def _sources(manifest: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """Folders, or files, that the scans of a manifest come from."""
    if entry["source"] == DICOM:
        return [one["folder"] for one in manifest.values()]
    return [path for one in manifest["scans"] for path in one["images"].values()]


def _of_files(images: Mapping[str, Path]) -> dict[str, Any]:
    return {"source": FILES, "images": {name: str(path) for name, path in images.items()}}


def _there(path: Any, base: Path) -> Path:
    found = Path(os.path.abspath(base / os.path.expanduser(str(path))))
    if not found.exists():
        raise ConfigError(f"config.scan: {found}: no such file or folder")
    return found


def _stem(path: Path) -> tuple[str, str]:
    """A file's name without its contrast, and the contrast ("" when it says none)."""
    name = path.name.removesuffix(".gz").removesuffix(".nii")
    before, _, last = name.rpartition("_")
    contrast = NAMES.get(last.lower(), "")
    if not contrast:
        return name, ""
    if contrast == "T1w" and "_ce-" in f"_{before}":
        contrast = "T1ce"
    return before, contrast


def _folder_name(folder: Path) -> str:
    """The name of a folder that tells whose it is."""
    return folder.parent.name if folder.name == ANAT else folder.name


def _cohort_name(text: str) -> str:
    """Letters, digits and ``. _ -``, as names of cohorts must be."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).lstrip("_.-") or SCAN


def _images(folder: Path) -> dict[str, Path]:
    """Contrast -> NIfTI file of a folder of one scan; empty where it has none."""
    files = list(_nifti_files(folder))
    found: dict[str, Path] = {}
    for path in files:
        contrast = _stem(path)[1]
        if contrast and contrast in found:
            raise ConfigError(
                f"config.scan: {folder}: has two files for {contrast}, {found[contrast].name} and "
                f"{path.name}; say which: {EXAMPLE}"
            )
        if contrast:
            found[contrast] = path
    if files and not found:
        raise ConfigError(
            f"config.scan: {folder}: no file's name ends in a contrast ({', '.join(CONTRASTS)}); "
            f"say which is which: {EXAMPLE}"
        )
    return found


def _nifti_files(folder: Path) -> Iterator[Path]:
    """NIfTI files right in a folder, and in its ``anat``."""
    for place in (folder, folder / ANAT):
        if place.is_dir():
            yield from sorted(one for one in place.iterdir() if one.name.endswith(NIFTI))


def _of_dicom(folder: Path, series: Any) -> dict[str, Any]:
    """The entry of a folder of DICOM files; which series there are is looked up to be asked."""
    if not any(True for _ in dicom_files(folder)):
        raise ConfigError(f"config.scan: {folder}: holds neither NIfTI nor DICOM files")
    if isinstance(series, Mapping):
        return {"source": DICOM, "path": str(folder), "series": dict(series), "single": True}
    from normscan.cohorts.dicom.series import listed, read_series

    found = read_series(folder)
    if not found:
        raise ConfigError(f"config.scan: {folder}: holds neither NIfTI nor DICOM images")
    raise ConfigError(
        f"config.scan: {folder}: say which series is which contrast, by a regular expression of "
        f"its description: --config scan=... series='{{FLAIR: flair}}'; there are: {listed(found)}"
    )


def _prior(config: Mapping[str, Any], base: Path) -> str:
    """The sign prior that bundles have a threshold for, where that is one; else ``none``.

    Raises
    ------
    ConfigError : they have several, and ``none`` is not among them.
    """
    common: set[str] | None = None
    wanted = (config.get("screening") or {}).get("approaches") or []
    for path in sorted(bundle_folder(config, base).glob(places.pattern(places.JOB))):
        where = places.parse(places.JOB, path)
        name = "{protocol}/{variant}".format(**where)
        try:
            record = json.loads((path / places.APPROACH).read_text(encoding="utf-8"))
            priors = set(record["thresholds"])
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if not wanted or name in wanted:
            common = priors if common is None else common & priors
    if not common or "none" in common:
        return "none"
    if len(common) > 1:
        raise ConfigError(
            "config.prior: say the sign of what is sought: "
            + " or ".join(f"--config prior={one}" for one in sorted(common))
        )
    return common.pop()
