"""Protocols: one paper's complete recipe as values, read from a YAML file and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from normscan.detectors import registry as detectors
from normscan.models import registry as models
from normscan.plugins import complete_settings, literals, plugin_names
from normscan.preprocessing.labels import step_label
from normscan.workflow.schema import schema_problems, unknown_key, wrong_value

LIBRARY = Path(__file__).resolve().parents[1]
THRESHOLDS = LIBRARY / "postprocessing" / "thresholds.py"
NO_MODEL = "none"
# Stands in a plug-in's ``ALLOWED`` for the contrasts of the protocol.
A_CONTRAST = "a contrast"
POSTPROCESSING = {"erosion": 1, "median": 5, "minimum_voxels": 8}
DEFAULT_RULES = [
    {"best_dice": {}},
    {"healthy_percentile": {}},
    {"healthy_fpr": {"rate": 0.01}},
    {"healthy_fpr": {"rate": 0.05}},
]


@dataclass(frozen=True)
class Step:
    """One preprocessing step: its kind, all its settings and its label in paths."""

    kind: str
    settings: dict[str, Any]
    label: str


@dataclass(frozen=True)
class Model:
    """What is trained: a family with all its settings, under the name used in paths."""

    name: str
    family: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Approach:
    """A row of a results table: a model (or none) and a detector with its settings."""

    name: str
    title: str
    model: str
    detector: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """How an operating point is chosen."""

    label: str
    kind: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """A complete recipe.

    ``training_cohorts``: None means all healthy ones, empty none. ``evaluation_cohorts``: empty
    means all patient cohorts.
    """

    name: str
    description: str
    citation: str
    contrasts: tuple[str, ...]
    steps: tuple[Step, ...]
    slices: dict[str, Any]
    training_cohorts: tuple[str, ...] | None
    shares: tuple[float, ...]
    models: dict[str, Model]
    approaches: dict[str, Approach]
    postprocessing: dict[str, Any]
    rules: tuple[Rule, ...]
    evaluation_cohorts: tuple[str, ...]
    source: dict[str, Any] = field(repr=False, default_factory=dict)

    def uses(self, cohort: str, role: str) -> bool:
        """Whether this protocol trains on, evaluates or screens a cohort."""
        if role == "healthy" and self.training_cohorts is not None:
            return cohort in self.training_cohorts
        names = self.evaluation_cohorts if role == "patients" else ()
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
    found_models = _models(content.get("models") or {}, contrasts, where, problems)
    approaches = _approaches(content["approaches"], found_models, contrasts, where, problems)
    rules = _rules(content.get("threshold_rules") or DEFAULT_RULES, where, problems)
    training = content.get("training") or {}
    evaluation = content.get("evaluation") or {}
    protocol = Protocol(
        name=name,
        description=content.get("description", ""),
        citation=content.get("citation", ""),
        contrasts=tuple(content["contrasts"]),
        steps=tuple(steps),
        slices=slices,
        training_cohorts=tuple(training["cohorts"]) if "cohorts" in training else None,
        shares=tuple(training.get("shares", (100,))),
        models=found_models,
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


def _allowed(folder: str, plugin: str, contrasts: list[str]) -> dict[str, Any]:
    """What a plug-in allows its settings to be in a protocol of these contrasts."""
    allowed = literals(LIBRARY / folder / f"{plugin}.py").get("ALLOWED", {})
    return {name: contrasts if one == A_CONTRAST else one for name, one in allowed.items()}


def _others(found: list[str], known: list[str]) -> list[str]:
    """Problems of keys of which nothing is known yet."""
    keys = {line.split(": found")[0] for line in known}
    return [line for line in found if line.split(": found")[0] not in keys]


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


def _models(
    entries: dict[str, dict], contrasts: list[str], where: str, problems: list[str]
) -> dict[str, Model]:
    found = {}
    for name, entry in entries.items():
        key = f"{where}.models.{name}"
        family = entry["family"]
        if family not in models.families():
            problems.append(wrong_value(f"{key}.family", family, models.families()))
            continue
        given = {one: value for one, value in entry.items() if one != "family"}
        settings, wrong = complete_settings(
            given,
            models.describe(family)["settings"],
            _allowed("models", family, contrasts),
            key,
        )
        problems += wrong + _others(models.network_problems(family, settings, key), wrong)
        found[name] = Model(name, family, settings)
    return found


def _approaches(
    entries: dict[str, dict],
    known: dict[str, Model],
    contrasts: list[str],
    where: str,
    problems: list[str],
) -> dict[str, Approach]:
    found = {}
    for name, entry in entries.items():
        key = f"{where}.approaches.{name}"
        detector = entry["detector"].replace("-", "_")
        if detector not in detectors.names():
            problems.append(wrong_value(f"{key}.detector", entry["detector"], detectors.names()))
            continue
        described = detectors.describe(detector)
        model = entry.get("model", NO_MODEL)
        given = {
            one: value for one, value in entry.items() if one not in ("model", "detector", "title")
        }
        settings, wrong = complete_settings(
            given, described["settings"], _allowed("detectors", detector, contrasts), key
        )
        problems += wrong
        problem = _model_problem(model, known, described["needs"], f"{key}.model")
        for one, capability in described["needed_for"].items():
            if settings[one] is not None and not problem:
                problem = _model_problem(model, known, {capability}, f"{key}.{one}")
        if problem:
            problems.append(problem)
        title = entry.get("title", name.replace("_", " "))
        found[name] = Approach(name, title, model, detector, settings)
    return found


def _model_problem(model: str, known: dict[str, Model], needs: set[str], where: str) -> str:
    """Why a model cannot serve a detector; empty when it can."""
    if model == NO_MODEL:
        if needs:
            return f"{where}: is missing; the detector needs a model that can {_list(needs)}"
        return ""
    if model not in known:
        return wrong_value(where, model, known)
    family, settings = known[model].family, known[model].settings
    able = models.capabilities(family, settings)
    lacking = needs - able
    if not lacking:
        return ""
    why = ""
    if lacking <= models.describe(family)["by_dropout"]:
        why = f" ({models.no_dropout(settings, f'models.{model}')})"
    return (
        f"{where}: model '{model}' (family '{family}') cannot {_list(lacking)}{why}, which this "
        f"detector needs; it can {_list(able)}"
    )


def _list(words: set[str]) -> str:
    return ", ".join(sorted(words)) or "nothing"


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
