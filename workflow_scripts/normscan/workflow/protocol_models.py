"""The models of a protocol: families with settings, contrasts by name, and models that they use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from normscan.models import registry as models
from normscan.plugins import complete_settings, literals
from normscan.streams import MAIN
from normscan.workflow import declared
from normscan.workflow.schema import unknown_key, wrong_value

# Keys of a model's entry that are no settings of its family.
OWN = ("family", "inputs", "targets", "neighbours", "uses", "labels", "augmentation")
AUGMENTATION = declared.LIBRARY / "slices" / "augmentation.py"


@dataclass(frozen=True)
class Labels:
    """What teaches a model: the detections of an approach of a protocol at a threshold rule."""

    protocol: str
    approach: str
    rule: str


@dataclass(frozen=True)
class Model:
    """What is trained: a family with all its settings, under the name used in paths.

    ``inputs``, ``targets``: contrasts by name; None: all of the protocol. ``neighbours``: slices on
    either side that are inputs too. ``uses``: role -> name of a model of the protocol. ``labels``:
    None for all but those that learn from what an approach detects. ``augmentation``:
    transforms of its training slices with all their settings.
    """

    name: str
    family: str
    settings: dict[str, Any]
    inputs: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    neighbours: int = 0
    uses: dict[str, str] = field(default_factory=dict)
    labels: Labels | None = None
    augmentation: dict[str, dict[str, Any]] = field(default_factory=dict)


def parse_models(
    entries: dict[str, dict],
    contrasts: list[str],
    streams: Collection[str],
    where: str,
    problems: list[str],
) -> dict[str, Model]:
    """The models of a protocol of these contrasts and streams; problems are added to the list."""
    found = {}
    for name, entry in entries.items():
        key = f"{where}.models.{name}"
        family = entry["family"]
        if family not in models.families():
            problems.append(wrong_value(f"{key}.family", family, models.families()))
            continue
        settings, wrong = complete_settings(
            {one: value for one, value in entry.items() if one not in OWN},
            models.describe(family)["settings"],
            declared.allowed("models", family, contrasts),
            key,
        )
        problems += wrong + _others(models.network_problems(family, settings, key), wrong)
        problems += _stream_problems(family, streams, where, key)
        problems += _contrast_problems(entry, contrasts, key)
        augmentation, wrong = parse_augmentation(entry.get("augmentation") or {}, family, key)
        problems += wrong
        found[name] = Model(
            name,
            family,
            settings,
            tuple(entry["inputs"]) if "inputs" in entry else None,
            tuple(entry["targets"]) if "targets" in entry else None,
            entry.get("neighbours", 0),
            dict(entry.get("uses", {})),
            augmentation=augmentation,
        )
    for name, model in found.items():
        key, roles = f"{where}.models.{name}", models.describe(model.family)["uses"]
        problems += use_problems(model.uses, roles, entries, found, key)
        problems += _sight_problems(model, found, contrasts, key)
    cycle = uses_cycle({name: list(model.uses.values()) for name, model in found.items()})
    if cycle:
        problems.append(f"{where}.models: use each other in a circle: {' -> '.join(cycle)}")
    return found


def parse_augmentation(
    given: Mapping[str, dict[str, Any] | None], family: str, where: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Transforms of a model's training slices with all their settings, and what is wrong with them.

    Parameters
    ----------
    given : transform -> settings that are not the usual, as in the protocol.
    where : the configuration key of the model.
    """
    about, key = literals(AUGMENTATION), f"{where}.augmentation"
    found: dict[str, dict[str, Any]] = {}
    problems = []
    for name, settings in given.items():
        if name not in about["TRANSFORMS"]:
            problems.append(unknown_key(key, name, about["TRANSFORMS"]))
            continue
        found[name], wrong = complete_settings(
            settings or {}, about["TRANSFORMS"][name], about["ALLOWED"][name], f"{key}.{name}"
        )
        problems += wrong
        for low, high in [] if wrong else about["ORDERED"].get(name, []):
            if found[name][low] > found[name][high]:
                problems.append(
                    f"{key}.{name}.{low}: found {found[name][low]}; must not be above {high}, "
                    f"which is {found[name][high]}"
                )
    described = models.describe(family)
    if given and (described["layers"] or set(described["streams"]) != {MAIN}):
        problems.append(
            f"{key}: family '{family}' is trained on layers or on streams beside '{MAIN}', which "
            "augmentation would not change with the slices; leave it out"
        )
    if given and "max_epochs" not in described["settings"]:
        problems.append(
            f"{key}: family '{family}' is fitted to slices once and not trained in epochs; leave "
            "it out"
        )
    return found, problems


def _others(found: list[str], known: list[str]) -> list[str]:
    """Problems of keys of which nothing is known yet."""
    keys = {line.split(": found")[0] for line in known}
    return [line for line in found if line.split(": found")[0] not in keys]


def _stream_problems(family: str, streams: Collection[str], where: str, key: str) -> list[str]:
    return [
        f"{key}: family '{family}' is trained on the stream '{name}' too; name its cohorts in "
        f"{where}.training.streams.{name}"
        for name in models.describe(family)["streams"]
        if name not in streams
    ]


def _contrast_problems(entry: dict[str, Any], contrasts: list[str], where: str) -> list[str]:
    """What is wrong with a model's inputs and targets."""
    problems = [
        wrong_value(f"{where}.{side}", name, contrasts)
        for side in ("inputs", "targets")
        for name in entry.get(side, [])
        if name not in contrasts
    ]
    described = models.describe(entry["family"])
    inputs, least = entry.get("inputs", contrasts), described["least_contrasts"]
    if not problems and len(inputs) < least:
        problems.append(
            f"{where}.inputs: found {listed(inputs)}; must be at least {least} contrasts, since "
            f"family '{entry['family']}' compares each with the others"
        )
    if problems or described["translates"]:
        return problems
    given = {side: entry.get(side, contrasts) for side in ("inputs", "targets")}
    if given["inputs"] != given["targets"]:
        problems.append(
            f"{where}.targets: found {listed(given['targets'])}, and inputs "
            f"{listed(given['inputs'])} (default: {listed(contrasts)}); they must be equal, since "
            f"family '{entry['family']}' does not translate between contrasts"
        )
    if entry.get("neighbours", 0):
        problems.append(
            f"{where}.neighbours: found {entry['neighbours']}; must be 0, since family "
            f"'{entry['family']}' sees one slice at a time"
        )
    return problems


def _sight_problems(
    model: Model, known: Mapping[str, Model], contrasts: list[str], where: str
) -> list[str]:
    """Models that a model uses, but that see other slices than it can hand on to them."""
    problems = []
    for role, name in model.uses.items():
        used = known.get(name)
        if used is None:
            continue
        for side, own, theirs in (
            ("inputs", list(model.inputs or contrasts), list(used.inputs or contrasts)),
            ("neighbours", model.neighbours, used.neighbours),
        ):
            if own != theirs:
                problems.append(
                    f"{where}.{side}: found {own}, but '{name}', which it uses as {role}, sees "
                    f"{theirs}; they must be equal, since a model hands on what it sees itself"
                )
    return problems


def use_problems(
    given: Mapping[str, str],
    roles: Mapping[str, set[str]],
    names: Collection[str],
    known: Mapping[str, Model],
    where: str,
) -> list[str]:
    """What is wrong with the models that a model or an approach uses.

    Parameters
    ----------
    given : role -> name, as in the protocol.
    roles : role -> what the model must be able to do, as the plug-in says.
    names, known : the protocol's models, also those with problems of their own, and the others.
    where : the configuration key of the model or approach.
    """
    problems = [unknown_key(f"{where}.uses", role, roles) for role in given if role not in roles]
    for role, needs in roles.items():
        key = f"{where}.uses.{role}"
        if role not in given:
            able = f" that can {listed(needs)}" if needs else ""
            problems.append(f"{key}: is missing; name a model of this protocol{able}")
        elif given[role] not in names:
            problems.append(wrong_value(key, given[role], names))
        elif given[role] in known:
            problem = lacking_ability(known[given[role]], needs, key)
            problems += [problem] if problem else []
    return problems


def lacking_ability(model: Model, needs: set[str], where: str) -> str:
    """Why a model cannot do what it is there for; empty when it can."""
    able = models.capabilities(model.family, model.settings)
    lacking = needs - able
    if not lacking:
        return ""
    why = ""
    if lacking <= models.describe(model.family)["by_dropout"]:
        why = f" ({models.no_dropout(model.settings, f'models.{model.name}')})"
    return (
        f"{where}: model '{model.name}' (family '{model.family}') cannot {listed(lacking)}{why}, "
        f"which is needed here; it can {listed(able)}"
    )


def uses_cycle(uses: Mapping[str, Collection[str]]) -> list[str]:
    """Names along a circle of uses, the first one again at the end; empty when there is none."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in uses.get(name, ()):
            found = search(other, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in uses if (found := search(name, []))), [])


def listed(words: Collection[str]) -> str:
    """Words in a message; a set's in alphabetical order."""
    return ", ".join(sorted(words) if isinstance(words, set) else words) or "nothing"
