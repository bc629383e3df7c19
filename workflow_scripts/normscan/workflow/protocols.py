"""Protocols: one paper's complete recipe as values, read from a YAML file and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from normscan.models.registry import describe as family
from normscan.plugins import complete_settings, literals, plugin_names
from normscan.postprocessing.told import width_problems
from normscan.preprocessing.labels import step_label
from normscan.streams import ALL, LESION_FREE, MAIN
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocol_anatomy import fidelity_problems
from normscan.workflow.protocol_approaches import Approach, parse_approaches
from normscan.workflow.protocol_fused import describe as detector
from normscan.workflow.protocol_fused import with_fused
from normscan.workflow.protocol_labels import with_labels
from normscan.workflow.protocol_models import Model, parse_models
from normscan.workflow.schema import schema_problems, unknown_key, wrong_value
from normscan.workflow.slice_sides import side_problems
from normscan.workflow.together import together_problems
from normscan.workflow.training_sets import Stream

# Files of rules: those that choose one threshold for all maps, and those that split each slice.
THRESHOLDS = LIBRARY / "postprocessing" / "thresholds.py"
SLICE_RULES = LIBRARY / "postprocessing" / "slice_rules.py"
HEALTHY = "healthy"
# Beside these a protocol may say ``prior``; without it each cohort has its own.
POSTPROCESSING = {"erosion": 1, "median": 5, "minimum_voxels": 8}
TRAINING = {"shares": (100,)}
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

    def makes(self) -> list[str]:
        """Layers of the slices that it makes with its settings."""
        declared = _declared(self.kind).get("LAYERS", {})
        return [
            layer for layer, needed in declared.items() if needed.items() <= self.settings.items()
        ]


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
    cohorts. ``fidelity``: the model that judges reconstructions, "" where none does.
    ``selection_cohorts``: synthetic cohorts of the configuration that choose without labels.
    ``screens``: whether unlabelled cohorts are screened with any of its approaches.
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
    fidelity: str = ""
    source: dict[str, Any] = field(repr=False, default_factory=dict)
    selection_cohorts: tuple[str, ...] = ()
    screens: bool = True

    def streamed_cohorts(self, roles: Mapping[str, str]) -> set[str]:
        """Cohorts that the streams name, or whose role they name, unless it is the default."""
        return {
            name
            for stream in self.streams.values()
            if stream.cohorts is not None or stream.role != HEALTHY
            for name in stream.among(roles).cohorts or ()
        }

    def models_used(self) -> list[str]:
        """Names of the models that approaches and evaluation apply, and of those that these use."""
        found: dict[str, None] = {}
        waiting = [name for one in self.approaches.values() for name in one.models]
        waiting += [self.fidelity] if self.fidelity else []
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found[name] = None
                waiting += self.models[name].uses.values()
                if labels := self.models[name].labels:
                    waiting += self.approaches[labels.approach].models
        return list(found)

    def training_streams(self, roles: Mapping[str, str]) -> dict[str, Stream]:
        """The streams with their cohorts by name, in alphabetical order.

        Parameters
        ----------
        roles : cohort -> role.
        """
        return {name: stream.among(roles) for name, stream in self.streams.items()}

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

    def calibration_cohorts(self, roles: Mapping[str, str]) -> list[str]:
        """Cohorts whose validation subjects give operating points without labels of voxels.

        Healthy ones; where there are none, patients whose lesion-free slices models are trained on:
        those slices of the validation patients.
        """
        if healthy := self.healthy_cohorts(roles):
            return healthy
        streams = self.training_streams(roles).values()
        free = (one.cohorts or () for one in streams if one.slices == LESION_FREE)
        return list(dict.fromkeys(name for names in free for name in names))

    def uses(self, cohort: str, roles: Mapping[str, str]) -> bool:
        """Whether this protocol trains on, calibrates with, evaluates or screens a cohort."""
        if cohort in self.streamed_cohorts(roles):
            return True
        if roles[cohort] == "healthy":
            return cohort in self.healthy_cohorts(roles)
        if roles[cohort] == "unlabelled":
            return self.screens
        names = self.evaluation_cohorts if roles[cohort] == "patients" else ()
        calibrating = {one for rule in self.rules for one in rule.settings.get("cohorts") or ()}
        return not names or cohort in {*names, *calibrating, *self.selection_cohorts}


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
    odd_slices: list[str] = []
    slices = _settings(
        content["slices"], LIBRARY / "slices" / "pack.py", f"{where}.slices", odd_slices
    )
    problems += odd_slices
    contrasts = content["contrasts"]
    training = content.get("training") or {}
    streams = _streams(training, where, problems)
    entries = content.get("models") or {}
    models = parse_models(entries, contrasts, streams, where, problems)
    size = None if odd_slices else slices.get("size")
    problems += side_problems(models, size, where)
    approaches = parse_approaches(
        content["approaches"], list(entries), models, contrasts, where, problems
    )
    problems += together_problems(models, approaches, size, problems, where)
    approaches = with_fused(content["approaches"], approaches, where, problems)
    problems += _layer_problems(models, approaches, steps, where)
    rules = _rules(content.get("threshold_rules") or DEFAULT_RULES, where, problems)
    names = list(content["approaches"])
    models = with_labels(name, entries, models, names, approaches, rules, problems)
    evaluation = content.get("evaluation") or {}
    fidelity = (evaluation.get("fidelity") or {}).get("model", "")
    problems += fidelity_problems(fidelity, entries, models, approaches, contrasts, where)
    protocol = Protocol(
        name=name,
        description=content.get("description", ""),
        citation=content.get("citation", ""),
        contrasts=tuple(content["contrasts"]),
        steps=tuple(steps),
        slices=slices,
        streams=streams,
        shares=tuple(training.get("shares", TRAINING["shares"])),
        models=models,
        approaches=approaches,
        postprocessing={**POSTPROCESSING, **(content.get("postprocessing") or {})},
        rules=tuple(rules),
        evaluation_cohorts=tuple(evaluation.get("cohorts", ())),
        fidelity=fidelity,
        source=content,
    )
    problems += width_problems(protocol.postprocessing["median"], f"{where}.postprocessing.median")
    return protocol, problems


def preparing_protocol(
    name: str, contrasts: list[str], preprocessing: list[dict], slices: dict[str, Any]
) -> tuple[Protocol, list[str]]:
    """A protocol that makes scans ready and trains, evaluates and detects nothing; its problems.

    Parameters
    ----------
    preprocessing, slices : as a protocol's file has them.
    """
    where, problems = f"protocol '{name}'", list[str]()
    steps = _steps(preprocessing, where, problems)
    slices = _settings(slices, LIBRARY / "slices" / "pack.py", f"{where}.slices", problems)
    protocol = Protocol(
        name=name,
        description="",
        citation="",
        contrasts=tuple(contrasts),
        steps=tuple(steps),
        slices=slices,
        streams={MAIN: Stream(())},
        shares=(),
        models={},
        approaches={},
        postprocessing=dict(POSTPROCESSING),
        rules=(),
        evaluation_cohorts=(),
    )
    return protocol, problems


def step_kinds() -> list[str]:
    """Names of the preprocessing steps there are."""
    return plugin_names(LIBRARY / "preprocessing", "SETTINGS")


def _declared(kind: str) -> dict[str, Any]:
    """Constants of a preprocessing step."""
    return literals(LIBRARY / "preprocessing" / f"{kind}.py")


def rule_kinds() -> dict[str, dict[str, Any]]:
    """Threshold rules and their settings with defaults."""
    return literals(THRESHOLDS)["RULES"] | literals(SLICE_RULES)["SLICE_RULES"]


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
        # An override cannot take a key away, but say that it is not given.
        entry = {key: value for key, value in entry.items() if value is not None}
        if "cohorts" not in entry and "role" not in entry and name != MAIN:
            problems.append(
                f"{where}.training.streams.{name}.cohorts: is missing; only '{MAIN}' has a default "
                "(or give a 'role', for all cohorts of it)"
            )
        if "cohorts" in entry and "role" in entry:
            problems.append(
                f"{where}.training.streams.{name}.role: stands beside 'cohorts', which says the "
                "same; leave one of them out"
            )
        cohorts = tuple(entry["cohorts"]) if "cohorts" in entry else None
        found[name] = Stream(cohorts, entry.get("slices", ALL), entry.get("role", HEALTHY))
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
        label = step_label(kind, settings, _declared(kind)["SETTINGS"])
        steps.append(Step(kind, settings, label))
    if steps and steps[0].kind != "register":
        problems.append(
            f"{where}.preprocessing: the first step is '{steps[0].kind}'; it must be 'register', "
            "since all other steps work on the atlas's grid"
        )
    if [step.kind for step in steps].count("register") > 1:
        problems.append(f"{where}.preprocessing: 'register' stands more than once")
    order = [step.kind for step in steps]
    problems += [
        f"{where}.preprocessing: '{kind}' stands before '{other}'; it needs what comes of it"
        for place, kind in enumerate(order)
        for other in _declared(kind).get("AFTER", [])
        if other in order[place:]
    ]
    return steps


def _layer_problems(
    models: Mapping[str, Model], approaches: Mapping[str, Approach], steps: list[Step], where: str
) -> list[str]:
    """Families and detectors that read a layer which a step could make, but none here does."""
    made = {layer for step in steps for layer in step.makes()}
    makers = {
        layer: (kind, settings)
        for kind in step_kinds()
        for layer, settings in _declared(kind).get("LAYERS", {}).items()
    }
    readers = [(f"{where}.models.{one.name}", family(one.family)) for one in models.values()]
    readers += [
        (f"{where}.approaches.{name}", detector(one.detector)) for name, one in approaches.items()
    ]
    return [
        f"{key}: reads the layer '{layer}', which no step of the preprocessing makes; add "
        f"'{makers[layer][0]}: {_flow(makers[layer][1])}' to {where}.preprocessing"
        for key, described in readers
        for layer in sorted(described["layers"] & makers.keys() - made)
    ]


def _flow(settings: Mapping[str, Any]) -> str:
    """Settings as YAML would have them in one line."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in settings.items()) + "}"


def _rules(entries: list[dict], where: str, problems: list[str]) -> list[Rule]:
    kinds = rule_kinds()
    allowed = literals(THRESHOLDS)["ALLOWED"] | literals(SLICE_RULES)["ALLOWED"]
    unnamed = literals(THRESHOLDS)["UNNAMED"]
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
        words = [_in_label(value) for one, value in settings.items() if one not in unnamed]
        rules.append(Rule("_".join([kind, *filter(None, words)]), kind, settings))
    labels = [rule.label for rule in rules]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        problems.append(f"{where}.threshold_rules: '{label}' stands more than once")
    return rules


def _in_label(value: Any) -> str:
    """A rule's setting in its label; cohorts, and what is not set, are none."""
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return value if isinstance(value, str) else ""
