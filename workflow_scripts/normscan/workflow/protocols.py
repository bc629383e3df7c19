"""Protocols: one paper's complete recipe as values, read from a YAML file and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from normscan.plugins import complete_settings, literals, plugin_names
from normscan.preprocessing.labels import step_label
from normscan.streams import ALL, MAIN
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocol_approaches import Approach, parse_approaches
from normscan.workflow.protocol_models import Model, parse_models
from normscan.workflow.schema import schema_problems, unknown_key, wrong_value
from normscan.workflow.training_sets import Stream

THRESHOLDS = LIBRARY / "postprocessing" / "thresholds.py"
POSTPROCESSING = {"erosion": 1, "median": 5, "minimum_voxels": 8}
DEFAULT_RULES = [
    {"best_dice": {}},
    {"healthy_percentile": {}},
    {"healthy_fpr": {"rate": 0.01}},
    {"healthy_fpr": {"rate": 0.05}},
]


@dataclass(frozen=True)
class Step:
    """One preprocessing step: its kind, all its settings and its label in paths.

    ``written``: its settings as the protocol has them, where some were drawn since.
    """

    kind: str
    settings: dict[str, Any]
    label: str
    written: dict[str, Any] | None = None


@dataclass(frozen=True)
class Rule:
    """How an operating point is chosen."""

    label: str
    kind: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """A complete recipe.

    ``streams``: what models are trained on, by name. A main stream whose cohorts are None is one of
    all healthy cohorts, an empty one of none. ``evaluation_cohorts``: empty means all patient
    cohorts.
    """

    name: str
    description: str
    citation: str
    contrasts: tuple[str, ...]
    steps: tuple[Step, ...]
    slices: dict[str, Any]
    streams: dict[str, Stream]
    shares: tuple[float, ...]
    models: dict[str, Model]
    approaches: dict[str, Approach]
    postprocessing: dict[str, Any]
    rules: tuple[Rule, ...]
    evaluation_cohorts: tuple[str, ...]
    source: dict[str, Any] = field(repr=False, default_factory=dict)

    @property
    def streamed_cohorts(self) -> set[str]:
        """Cohorts that the streams name."""
        return {name for stream in self.streams.values() for name in stream.cohorts or ()}

    def models_used(self) -> list[str]:
        """Names of the models that approaches apply or use, and of those that these use."""
        found: dict[str, None] = {}
        waiting = [name for one in self.approaches.values() for name in one.models]
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found[name] = None
                waiting += self.models[name].uses.values()
        return list(found)

    def training_streams(self, roles: Mapping[str, str]) -> dict[str, Stream]:
        """The streams with their cohorts by name, in alphabetical order.

        Parameters
        ----------
        roles : cohort -> role.
        """
        healthy = [name for name, role in roles.items() if role == "healthy"]
        return {
            name: Stream(
                tuple(sorted(healthy if stream.cohorts is None else stream.cohorts)), stream.slices
            )
            for name, stream in self.streams.items()
        }

    def healthy_cohorts(self, roles: Mapping[str, str]) -> list[str]:
        """Healthy cohorts whose validation subjects give operating points without labels.

        Those of the main stream; where it has patients only, those of the other streams; where no
        stream has any, all there are.
        """
        streams = self.training_streams(roles)
        main = streams[MAIN].cohorts or ()
        named = [name for stream in streams.values() for name in stream.cohorts or ()]
        for choice in (main, named if main else (), roles if main else ()):
            found = [name for name in choice if roles[name] == "healthy"]
            if found:
                return list(dict.fromkeys(found))
        return []

    def uses(self, cohort: str, roles: Mapping[str, str]) -> bool:
        """Whether this protocol trains on, calibrates with, evaluates or screens a cohort."""
        if cohort in self.streamed_cohorts:
            return True
        if roles[cohort] == "healthy":
            return cohort in self.healthy_cohorts(roles)
        names = self.evaluation_cohorts if roles[cohort] == "patients" else ()
        calibrating = {one for rule in self.rules for one in rule.settings.get("cohorts") or ()}
        return not names or cohort in names or cohort in calibrating


def parse_protocol(name: str, content: dict[str, Any]) -> tuple[Protocol | None, list[str]]:
    """A protocol from its parsed YAML, and every problem found in it.

    Returns
    -------
    protocol, problems : protocol is None when its structure is wrong.
    """
    where = f"protocol '{name}'"
    problems = schema_problems(content, "protocol", where)
    if problems:
        return None, problems
    steps = _steps(content["preprocessing"], where, problems)
    slices = _settings(
        content["slices"], LIBRARY / "slices" / "pack.py", f"{where}.slices", problems
    )
    contrasts = content["contrasts"]
    training = content.get("training") or {}
    streams = _streams(training, where, problems)
    entries = content.get("models") or {}
    models = parse_models(entries, contrasts, streams, where, problems)
    approaches = parse_approaches(
        content["approaches"], list(entries), models, contrasts, where, problems
    )
    rules = _rules(content.get("threshold_rules") or DEFAULT_RULES, where, problems)
    evaluation = content.get("evaluation") or {}
    protocol = Protocol(
        name=name,
        description=content.get("description", ""),
        citation=content.get("citation", ""),
        contrasts=tuple(content["contrasts"]),
        steps=tuple(steps),
        slices=slices,
        streams=streams,
        shares=tuple(training.get("shares", (100,))),
        models=models,
        approaches=approaches,
        postprocessing={**POSTPROCESSING, **(content.get("postprocessing") or {})},
        rules=tuple(rules),
        evaluation_cohorts=tuple(evaluation.get("cohorts", ())),
        source=content,
    )
    if protocol.postprocessing["median"] % 2 == 0:
        found = protocol.postprocessing["median"]
        problems.append(f"{where}.postprocessing.median: found {found}; must be odd")
    return protocol, problems


def step_kinds() -> list[str]:
    """Names of the preprocessing steps there are."""
    return plugin_names(LIBRARY / "preprocessing", "SETTINGS")


def rule_kinds() -> dict[str, dict[str, Any]]:
    """Threshold rules and their settings with defaults."""
    return literals(THRESHOLDS)["RULES"]


def _settings(given: dict | None, file: Path, where: str, problems: list[str]) -> dict[str, Any]:
    declared = literals(file)
    settings, found = complete_settings(
        given or {}, declared["SETTINGS"], declared.get("ALLOWED", {}), where
    )
    problems += found
    return settings


def _streams(training: dict[str, Any], where: str, problems: list[str]) -> dict[str, Stream]:
    """The main stream, first, and those beside it."""
    given = training.get("streams") or {}
    if "cohorts" in training and MAIN in given:
        problems.append(
            f"{where}.training.cohorts: stands beside training.streams.{MAIN}, which says the "
            "same; leave one of them out"
        )
    main = {"cohorts": training["cohorts"]} if "cohorts" in training else {}
    found = {}
    for name, entry in {MAIN: main, **given}.items():
        if "cohorts" not in entry and name != MAIN:
            problems.append(
                f"{where}.training.streams.{name}.cohorts: is missing; only '{MAIN}' has a default"
            )
        cohorts = tuple(entry["cohorts"]) if "cohorts" in entry else None
        found[name] = Stream(cohorts, entry.get("slices", ALL))
    return found


def _steps(entries: list[dict], where: str, problems: list[str]) -> list[Step]:
    steps = []
    kinds = step_kinds()
    for position, entry in enumerate(entries):
        ((kind, given),) = entry.items()
        key = f"{where}.preprocessing[{position}]"
        if kind not in kinds:
            problems.append(wrong_value(key, kind, kinds))
            continue
        file = LIBRARY / "preprocessing" / f"{kind}.py"
        settings = _settings(given, file, f"{key}.{kind}", problems)
        label = step_label(kind, settings, literals(file)["SETTINGS"])
        steps.append(Step(kind, settings, label))
    if steps and steps[0].kind != "register":
        problems.append(
            f"{where}.preprocessing: the first step is '{steps[0].kind}'; it must be 'register', "
            "since all other steps work on the atlas's grid"
        )
    if [step.kind for step in steps].count("register") > 1:
        problems.append(f"{where}.preprocessing: 'register' stands more than once")
    return steps


def _rules(entries: list[dict], where: str, problems: list[str]) -> list[Rule]:
    kinds = rule_kinds()
    allowed = literals(THRESHOLDS)["ALLOWED"]
    rules = []
    for position, entry in enumerate(entries):
        ((kind, given),) = entry.items()
        key = f"{where}.threshold_rules[{position}]"
        if kind not in kinds:
            problems.append(unknown_key(key, kind, kinds))
            continue
        settings, wrong = complete_settings(
            given or {}, kinds[kind], allowed.get(kind, {}), f"{key}.{kind}"
        )
        problems += wrong
        numbers = [f"{value:g}" for value in settings.values() if isinstance(value, (int, float))]
        rules.append(Rule("_".join([kind, *numbers]), kind, settings))
    labels = [rule.label for rule in rules]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        problems.append(f"{where}.threshold_rules: '{label}' stands more than once")
    return rules
