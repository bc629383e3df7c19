"""The approaches of a protocol: detectors with settings, on a model or on none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from normscan.detectors import registry as detectors
from normscan.plugins import complete_settings
from normscan.workflow import declared
from normscan.workflow.protocol_models import Model, lacking_ability, listed, use_problems
from normscan.workflow.schema import wrong_value

NO_MODEL = "none"
OWN = ("title", "model", "detector", "uses", "published")


@dataclass(frozen=True)
class Approach:
    """A row of a results table: a model (or none) and a detector with its settings.

    ``uses``: role -> name of a further model that the detector uses. ``published``: what the cited
    paper calls it; "": its title. ``parts``: the approaches that are fused into this one, which has
    neither a model nor a detector of its own; empty for all others.
    """

    name: str
    title: str
    model: str
    detector: str
    settings: dict[str, Any]
    uses: dict[str, str] = field(default_factory=dict)
    published: str = field(default="", compare=False)
    parts: tuple[Approach, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all models that it needs: its own, those that its detector uses, its parts'."""
        own = () if self.model == NO_MODEL else (self.model,)
        fused = [name for part in self.parts for name in part.models]
        return tuple(dict.fromkeys([*own, *self.uses.values(), *fused]))


def parse_approaches(
    entries: dict[str, dict],
    names: Collection[str],
    known: dict[str, Model],
    contrasts: list[str],
    where: str,
    problems: list[str],
) -> dict[str, Approach]:
    """The approaches of a protocol; problems are added to the list.

    Parameters
    ----------
    names, known : the protocol's models, also those with problems of their own, and the others.

    Fused approaches (``protocol_fused``) are left to :func:`protocol_fused.with_fused`.
    """
    found = {}
    for name, entry in entries.items():
        if "fuse" in entry:
            continue
        key = f"{where}.approaches.{name}"
        detector = entry["detector"].replace("-", "_")
        if detector not in detectors.names():
            problems.append(wrong_value(f"{key}.detector", entry["detector"], detectors.names()))
            continue
        described = detectors.describe(detector)
        given = {one: value for one, value in entry.items() if one not in OWN}
        settings, wrong = complete_settings(
            given, described["settings"], declared.allowed("detectors", detector, contrasts), key
        )
        problems += wrong
        model, uses = entry.get("model", NO_MODEL), dict(entry.get("uses", {}))
        problem = _model_problem(model, names, known, described["needs"], f"{key}.model")
        for one, needed in described["needed_for"].items():
            if (needs := _needs_of(settings[one], needed)) and not problem:
                problem = _model_problem(model, names, known, needs, f"{key}.{one}")
        problems += [problem] if problem else []
        problems += use_problems(uses, described["uses"], names, known, key)
        problems += _sight_problems(known.get(model), uses, known, contrasts, key)
        title = entry.get("title", name.replace("_", " "))
        known_as = entry.get("published", "")
        found[name] = Approach(name, title, model, detector, settings, uses, known_as)
    return found


def _needs_of(value: Any, needed: str | dict[str, str]) -> set[str]:
    """What a setting asks of a model: a capability once it is given, or one for certain values."""
    if value is None:
        return set()
    if isinstance(needed, str):
        return {needed}
    return {capability for word, capability in needed.items() if word == value}


def _sight_problems(
    model: Model | None,
    uses: Mapping[str, str],
    known: Mapping[str, Model],
    contrasts: list[str],
    where: str,
) -> list[str]:
    """Models that a detector uses, but that see other contrasts than its model predicts."""
    if model is None:
        return []
    predicted = list(model.targets or contrasts)
    used = {role: known[name] for role, name in uses.items() if name in known}
    return [
        f"{where}.uses.{role}: model '{one.name}' sees {listed(one.inputs or contrasts)}, but "
        f"'{model.name}', whose slices it is given, predicts {listed(predicted)}; they must be "
        "equal"
        for role, one in used.items()
        if list(one.inputs or contrasts) != predicted
    ]


def _model_problem(
    model: str, names: Collection[str], known: dict[str, Model], needs: set[str], where: str
) -> str:
    """Why a model cannot serve a detector; empty when it can."""
    if model == NO_MODEL:
        if needs:
            return f"{where}: is missing; the detector needs a model that can {listed(needs)}"
        return ""
    if model not in names:
        return wrong_value(where, model, names)
    return lacking_ability(known[model], needs, where) if model in known else ""
