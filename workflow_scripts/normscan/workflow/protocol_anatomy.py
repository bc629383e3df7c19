"""Models that are trained on label maps of anatomy, and the one that judges reconstructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normscan.cohorts.scans import Cohort
from normscan.models.registry import describe
from normscan.plugins import literals
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocol_approaches import Approach
from normscan.workflow.protocol_models import Model, lacking_ability, listed
from normscan.workflow.schema import wrong_value

if TYPE_CHECKING:
    from normscan.workflow.protocols import Protocol

ANATOMY, TISSUE = "anatomy", "tissue"
ABLE = {"classify_anatomy"}
# Scans that a message names.
SHOWN = 5


def fidelity_problems(
    name: str,
    entries: Mapping[str, Any],
    models: Mapping[str, Model],
    approaches: Mapping[str, Approach],
    contrasts: Sequence[str],
    where: str,
) -> list[str]:
    """Why a model cannot judge the reconstructions of a protocol's approaches.

    Parameters
    ----------
    name : of the model; "" where reconstructions are not judged.
    entries, models : the protocol's models as they are written, and those without problems.
    """
    key = f"{where}.evaluation.fidelity.model"
    if not name:
        return []
    if name not in entries:
        return [wrong_value(key, name, entries)]
    if name not in models:
        return []
    if problem := lacking_ability(models[name], ABLE, key):
        return [problem]
    seen = list(models[name].inputs or contrasts)
    if len(seen) != 1:
        return [
            f"{where}.models.{name}.inputs: found {listed(seen)}; must be one contrast, the first "
            "that the approaches reconstruct, since that reconstruction is stored and judged"
        ]
    own = [models[one.model] for one in approaches.values() if one.model in models]
    made = {list(one.targets or contrasts)[0] for one in own}
    if not made & set(seen):
        return [
            f"{where}.models.{name}.inputs: found {seen[0]}, but approaches reconstruct "
            f"{listed(made)} first; segment that"
        ]
    return []


def anatomy_classes(protocol: Protocol, cohort: Cohort) -> list[str]:
    """Names of the anatomical classes in a protocol's slices of a cohort; empty without any.

    Those of its label maps; where it declares none, the tissues that preprocessing finds.
    """
    if cohort.anatomy_classes:
        return list(cohort.anatomy_classes)
    if not any(TISSUE in step.makes() for step in protocol.steps):
        return []
    tissues = literals(LIBRARY / "preprocessing" / "segment_tissue.py")["TISSUES"]
    return [name.replace(" ", "_") for name in tissues]


def anatomy_cohorts(protocol: Protocol, model: str, roles: Mapping[str, str]) -> list[str]:
    """Cohorts on whose label maps of anatomy a model is trained."""
    layers = describe(protocol.models[model].family)["stream_layers"]
    streams = protocol.training_streams(roles)
    found = [
        cohort
        for stream, own in layers.items()
        if ANATOMY in own and stream in streams
        for cohort in streams[stream].cohorts or ()
    ]
    return list(dict.fromkeys(found))


def anatomy_problems(protocol: Protocol, cohorts: Mapping[str, Cohort]) -> list[str]:
    """Label maps of anatomy that a protocol's models are trained on and that are not there, or
    whose classes are others than the models'."""
    roles = {name: cohort.role for name, cohort in cohorts.items()}
    problems = []
    for name in protocol.models_used():
        trained_on = anatomy_cohorts(protocol, name, roles)
        found = [_missing(protocol, name, cohorts[one]) for one in trained_on]
        problems += list(filter(None, found)) or _classes(protocol, name, cohorts, trained_on)
    return list(dict.fromkeys(problems))


def _missing(protocol: Protocol, model: str, cohort: Cohort) -> str:
    key, user = f"config.cohorts.{cohort.name}", f"model '{model}' of protocol '{protocol.name}'"
    if not anatomy_classes(protocol, cohort):
        return (
            f"{key}.anatomy_classes: is missing; {user} is trained on label maps of anatomy: give "
            f"them (docs/new-cohort.md) and name their classes, or add 'segment_tissue: {{output: "
            f"layer}}' to protocol '{protocol.name}'.preprocessing"
        )
    lacking = [scan.id for scan in cohort.scans if not scan.anatomy]
    if not cohort.anatomy_classes or not lacking:
        return ""
    more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
    return (
        f"{key}: no label map of anatomy of {', '.join(lacking[:SHOWN])}{more}, which {user} is "
        "trained on; give it, list them under 'exclude', or train on a cohort that has them"
    )


def _classes(
    protocol: Protocol, model: str, cohorts: Mapping[str, Cohort], trained_on: Sequence[str]
) -> list[str]:
    """Classes that differ between cohorts, or whose number is not the model's."""
    if not trained_on:
        return []
    first, *others = trained_on
    names = anatomy_classes(protocol, cohorts[first])
    problems = [
        f"config.cohorts.{one}.anatomy_classes: found {listed(theirs)}, but '{first}' has "
        f"{listed(names)}; model '{model}' of protocol '{protocol.name}' is trained on both: give "
        "the same classes in the same order (their labels may differ)"
        for one in others
        if (theirs := anatomy_classes(protocol, cohorts[one])) != names
    ]
    own = protocol.models[model].settings.get("classes", len(names))
    if own != len(names):
        problems.append(
            f"protocol '{protocol.name}'.models.{model}.classes: found {own}; label maps of "
            f"'{first}' have {len(names)} ({listed(names)})"
        )
    return problems
