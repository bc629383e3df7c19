"""``config.yaml`` and its protocols as checked values; every problem is reported at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from normscan.cohorts.dicom.folders import Dicom, scan_sources
from normscan.cohorts.load import DICOM
from normscan.cohorts.plan_synthetic import Synthetic
from normscan.cohorts.scans import Cohort
from normscan.cohorts.splits import too_few
from normscan.errors import ConfigError
from normscan.paths import NAME, NAME_IN_WORDS, path_problem
from normscan.workflow.bundled import Bundle, instead_of_protocols
from normscan.workflow.heads import head_problems
from normscan.workflow.histogram_references import with_references
from normscan.workflow.loading import atlas_problems, load_cohorts, step_atlas_problems
from normscan.workflow.one_scan import lasting, other_scan, with_scan
from normscan.workflow.protocol_anatomy import anatomy_problems
from normscan.workflow.protocols import Protocol, parse_protocol
from normscan.workflow.roles import role_problems, stream_key
from normscan.workflow.schema import nearest, schema_problems, wrong_value
from normscan.workflow.selection import named_problems, selection_cohorts, study_problems
from normscan.workflow.shared_names import shared_name_problems
from normscan.workflow.yaml_files import read_yaml

DEFAULTS: dict[str, Any] = {
    "title": "normscan",
    "results": "results",
    "protocols": [],
    "seeds": [0],
    "on_bad_scan": "stop",
    "on_flagged": "continue",
    "intermediates": "keep",
    "device": "auto",
    "threads": 2,
    "shard_size": "auto",
    "overrides": {},
    "atlases": {},
}
SPLIT = {
    "seed": 0,
    "healthy_validation": 0.2,
    "patients_validation": 3,
    "patients_training": 0.5,
}
SCREENING = {"bundles": "", "approaches": []}
# NIfTI volumes written beside arrays and tables: none | native | atlas | both, of each kind.
VOLUMES = dict.fromkeys(("detections", "maps", "reconstructions", "uncertainties"), "none")
FIGURES = {"orientation": "neurological"}
REPORT = {"embed": False}


@dataclass(frozen=True)
class Study:
    """One run of the workflow: what ``config.yaml`` and its protocols say, checked.

    ``one_scan``: the cohort made of a single scan that is to be screened, "" where there is none.
    ``bundles``: what is screened with where no protocols are named; else none.
    """

    title: str
    results: Path
    seeds: tuple[int, ...]
    on_bad_scan: str
    on_flagged: str
    intermediates: str
    device: str
    threads: int
    shard_size: dict[str, int | str]
    split: dict[str, Any]
    cohorts: dict[str, Cohort]
    validation: dict[str, float]
    training: dict[str, float]
    simulation: dict[str, dict[str, Any]]
    dicom: dict[str, Dicom]
    synthetic: dict[str, Synthetic]
    protocols: dict[str, Protocol]
    atlases: dict[str, dict[str, str]]
    screening: dict[str, Any]
    volumes: dict[str, str]
    figures: dict[str, str]
    report: dict[str, bool]
    excluded: dict[str, dict[str, str]]
    source: dict[str, Any]
    selection: tuple[str, ...] = ()
    one_scan: str = ""
    bundles: tuple[Bundle, ...] = ()


def load_study(
    config: dict[str, Any],
    base: Path,
    protocol_folder: Path,
    written: Mapping[str, Any] | None = None,
) -> Study:
    """Check a parsed configuration and load what it names.

    Parameters
    ----------
    config : parsed ``config.yaml``, and what ``--config`` lays over it.
    base : folder that relative paths in the configuration start from (the working directory).
    protocol_folder : where protocols are looked up by name.
    written : what the files say where ``config`` says more; None: the same.

    Raises
    ------
    ConfigError, CohortError : all problems of the configuration, or of the cohorts, at once.
    """
    said = config
    config, one_scan = with_scan(config, base)
    problems = schema_problems(config, "config", "config")
    if problems:
        raise ConfigError(_report(problems))
    values = {**DEFAULTS, **config}
    problems = _path_problems(values, base)
    if one_scan and (
        other := other_scan(base / values["results"], one_scan, config["cohorts"][one_scan])
    ):
        raise ConfigError(other)
    protocols = _load_protocols(values, base, protocol_folder, problems)
    bundles: list[Bundle] = []
    if not protocols and "protocols" not in config:
        bundles, protocols, wrong = instead_of_protocols(config, base)
        problems += wrong
    _check_references(config, protocols, problems)
    problems += named_problems(config, protocols)
    atlases = {
        name: {kind: os.path.abspath(base / path) for kind, path in files.items()}
        for name, files in values["atlases"].items()
    }
    problems += [line for one in protocols.values() for line in step_atlas_problems(one, atlases)]
    if problems:
        raise ConfigError(_report(problems))
    selection = selection_cohorts(config)
    screening = {**SCREENING, **config.get("screening", {})}
    protocols = {
        name: replace(one, selection_cohorts=selection, screens=screens(name, screening))
        for name, one in protocols.items()
    }
    cohorts, excluded, synthetic = load_cohorts(values, protocols, base)
    split = {**SPLIT, **config.get("split", {})}
    protocols, problems = with_references(protocols, cohorts, int(split["seed"]))
    if problems:
        raise ConfigError(_report(problems))
    roles = {name: cohort.role for name, cohort in cohorts.items()}
    study = Study(
        title=values["title"],
        results=Path(values["results"]),
        seeds=tuple(values["seeds"]),
        on_bad_scan=values["on_bad_scan"],
        on_flagged=values["on_flagged"],
        intermediates=values["intermediates"],
        device=values["device"],
        threads=values["threads"],
        shard_size={
            name: entry.get("shard_size", values["shard_size"])
            for name, entry in config["cohorts"].items()
        },
        split=split,
        cohorts=cohorts,
        validation={
            name: _validation(config["cohorts"][name], cohort, split)
            for name, cohort in cohorts.items()
        },
        training={
            name: _training(config["cohorts"][name], name, split, protocols, roles)
            for name in cohorts
        },
        simulation={
            name: entry.get("simulation", {})
            for name, entry in config["cohorts"].items()
            if entry["source"] == "simulated"
        },
        dicom={
            name: Dicom(
                entry["series"], scan_sources(base / entry["path"], bool(entry.get("single")))
            )
            for name, entry in config["cohorts"].items()
            if entry["source"] == DICOM
        },
        synthetic=synthetic,
        protocols=protocols,
        atlases=atlases,
        screening=screening,
        volumes={**VOLUMES, **config.get("volumes", {})},
        figures={**FIGURES, **config.get("figures", {})},
        report={**REPORT, **config.get("report", {})},
        excluded=excluded,
        source=lasting(said, said if written is None else written),
        selection=selection,
        one_scan=one_scan,
        bundles=tuple(bundles),
    )
    problems = shared_name_problems(protocols) + role_problems(study) + _split_problems(study)
    problems += head_problems(study)
    problems += [line for one in protocols.values() for line in anatomy_problems(one, cohorts)]
    problems += atlas_problems(study.cohorts, study.synthetic, study.atlases)
    problems += study_problems(study)
    if problems:
        raise ConfigError(_report(problems))
    return study


def screens(protocol: str, screening: dict[str, Any]) -> bool:
    """Whether an approach of a protocol is screened with; where none are named, all are."""
    wanted = screening["approaches"]
    return not wanted or any(one.rpartition("/")[0] == protocol for one in wanted)


def merged(content: Any, changes: Any) -> Any:
    """``content`` with ``changes`` laid over it; mappings are merged, all else is replaced."""
    if isinstance(content, dict) and isinstance(changes, dict):
        keys = [*content, *(key for key in changes if key not in content)]
        return {
            key: merged(content[key], changes[key])
            if key in content and key in changes
            else changes.get(key, content.get(key))
            for key in keys
        }
    return changes


def _laid_over(
    name: str, content: dict[str, Any], changes: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """A protocol with its overrides, models and approaches that are null left out; problems."""
    problems, found = [], merged(content, changes)
    for room in ("models", "approaches"):
        entries, named = content.get(room), changes.get(room)
        if not isinstance(entries, dict) or not isinstance(named, dict):
            continue
        absent = [one for one, value in named.items() if value is None]
        problems += [
            f"config.overrides.{name}.{room}.{one}: is null, which leaves it out, but the protocol "
            f"has none of this name{nearest(one, list(entries))}"
            for one in absent
            if one not in entries
        ]
        found[room] = {key: value for key, value in found[room].items() if key not in absent}
    return found, problems


def _report(problems: list[str]) -> str:
    count = len(problems)
    title = f"the configuration has {count} problem{'s' * (count != 1)}:"
    return "\n".join([title, *(f"  - {problem}" for problem in problems)])


def _load_protocols(
    values: dict, base: Path, folder: Path, problems: list[str]
) -> dict[str, Protocol]:
    found = {}
    for name in values["protocols"]:
        path = base / name if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
        if not path.is_file():
            known = sorted(file.stem for file in folder.glob("*.yaml"))
            problems.append(
                f"config.protocols: no protocol '{name}'{nearest(name, known)} "
                f"({path} does not exist); there are: {', '.join(known)}"
            )
            continue
        if not NAME.fullmatch(path.stem):
            problems.append(
                f"config.protocols: found {path.name!r}; {NAME_IN_WORDS} in a protocol's name; "
                "rename the file"
            )
            continue
        if path.stem in found:
            problems.append(
                f"config.protocols: {path} has the name of another one, '{path.stem}', and would "
                "write its results; rename the file"
            )
            continue
        try:
            content = read_yaml(path)
        except ConfigError as error:
            problems += str(error).splitlines()
            continue
        changes = values["overrides"].get(path.stem, {})
        content, wrong = _laid_over(path.stem, content, changes)
        problems += wrong
        protocol, wrong = parse_protocol(path.stem, content)
        problems += wrong
        if protocol:
            found[path.stem] = protocol
    for name in values["overrides"]:
        names = [Path(one).stem for one in values["protocols"]]
        if name not in names:
            problems.append(wrong_value("config.overrides", name, names))
    return found


def _path_problems(values: dict, base: Path) -> list[str]:
    """Paths that Snakemake would take for something else, and results that cannot be a folder."""
    named = {"results": values["results"]}
    named |= {f"protocols.{number}": one for number, one in enumerate(values["protocols"])}
    named |= {
        f"cohorts.{name}.path": entry["path"]
        for name, entry in values["cohorts"].items()
        if "path" in entry
    }
    named |= {
        f"atlases.{name}.{kind}": path
        for name, files in values["atlases"].items()
        for kind, path in files.items()
    }
    named["screening.bundles"] = values.get("screening", {}).get("bundles", "")
    found = {key: path_problem(path) for key, path in named.items()}
    problems = [
        f"config.{key}: found {named[key]!r}: {problem}"
        for key, problem in found.items()
        if problem
    ]
    return problems + _folder_problems(base / values["results"])


def _folder_problems(results: Path) -> list[str]:
    """What is wrong with a folder of results, or with the one that it will be made in."""
    there = next(one for one in (results, *results.absolute().parents) if one.exists())
    if not there.is_dir():
        return [f"config.results: {there} is no folder; name another one"]
    if not os.access(there, os.W_OK | os.X_OK):
        return [
            f"config.results: {there} cannot be written (no permission, or a file system that is "
            "read-only); change that, or name another folder"
        ]
    return []


def _check_references(config: dict, protocols: dict[str, Protocol], problems: list[str]) -> None:
    """Cohorts that protocols name must be there."""
    names = list(config["cohorts"])
    for protocol in protocols.values():
        where = f"protocol '{protocol.name}'"
        for stream, one in protocol.streams.items():
            for cohort in one.cohorts or ():
                if cohort not in names:
                    problems.append(wrong_value(stream_key(protocol, stream), cohort, names))
        for cohort in protocol.evaluation_cohorts:
            if cohort not in names:
                problems.append(wrong_value(f"{where}.evaluation.cohorts", cohort, names))
        for rule in protocol.rules:
            for cohort in rule.settings.get("cohorts") or []:
                if cohort not in names:
                    key = f"{where}.threshold_rules.{rule.kind}.cohorts"
                    problems.append(wrong_value(key, cohort, names))


def _validation(entry: dict, cohort: Cohort, split: dict) -> float:
    """Validation share or count of a cohort: its own, or the study's for its role."""
    default = {
        "healthy": split["healthy_validation"],
        "patients": split["patients_validation"],
        "unlabelled": 0,
    }
    return entry.get("validation", default[cohort.role])


def _training(
    entry: dict, name: str, split: dict, protocols: dict[str, Protocol], roles: dict[str, str]
) -> float:
    """Training share or count of a cohort of patients; 0 where no model is trained on it."""
    asked = any(name in protocol.streamed_cohorts(roles) for protocol in protocols.values())
    if roles[name] != "patients" or not asked:
        return 0
    return entry.get("training", split["patients_training"])


def _split_problems(study: Study) -> list[str]:
    """Cohorts with fewer subjects than their split needs."""
    problems = []
    for name, cohort in study.cohorts.items():
        subjects = len({scan.subject for scan in cohort.scans})
        try:
            problem = too_few(subjects, cohort.role, study.validation[name], study.training[name])
        except ConfigError as error:
            problem = str(error)
        if problem:
            problems.append(f"config.cohorts.{name}: {problem}")
    return problems
