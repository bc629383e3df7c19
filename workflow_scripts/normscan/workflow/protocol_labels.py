"""Models that learn from the detections of an approach of their protocol: checked and filled in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from normscan.detectors import registry as detectors
from normscan.models import registry as models
from normscan.workflow.protocol_approaches import Approach
from normscan.workflow.protocol_models import Labels, Model, listed, uses_cycle
from normscan.workflow.schema import wrong_value

if TYPE_CHECKING:
    from normscan.workflow.protocols import Rule


def with_labels(
    protocol: str,
    entries: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, Model],
    names: Collection[str],
    approaches: Mapping[str, Approach],
    rules: Collection[Rule],
    problems: list[str],
) -> dict[str, Model]:
    """Models with the labels that their entries name; problems are added to the list.

    Only rules that look at healthy scans may find the threshold: one that was chosen on labels of
    patients would hand these on to what is trained without them.

    Parameters
    ----------
    protocol : its name.
    entries, known : the protocol's models as they are written, and those without problems.
    names, approaches : its approaches, also those with problems of their own, and the others.
    rules : its threshold rules.
    """
    where, found = f"protocol '{protocol}'", dict(known)
    for name, model in known.items():
        key, given = f"{where}.models.{name}.labels", entries[name].get("labels")
        taught = models.describe(model.family)["taught"]
        if given and not taught:
            problems.append(
                f"{key}: family '{model.family}' does not learn from the detections of an "
                "approach; leave it out"
            )
        elif taught and not given:
            problems.append(
                f"{key}: is missing; family '{model.family}' learns from the detections of an "
                "approach: name it and one of this protocol's threshold rules on healthy scans, "
                f"'labels: {{approach: ..., rule: ...}}' ({listed(_without_labels(rules))})"
            )
        elif given:
            problems += _problems(given, names, approaches, rules, key)
            found[name] = replace(model, labels=Labels(protocol, given["approach"], given["rule"]))
    usable = {
        name: model
        for name, model in found.items()
        if model.labels is None or model.labels.approach in approaches
    }
    if cycle := _cycle(usable, approaches):
        problems.append(
            f"{where}.models: learn from their own detections: {' -> '.join(cycle)}; name an "
            "approach whose model does not need this one"
        )
    return found


def _without_labels(rules: Collection[Rule]) -> list[str]:
    return [rule.label for rule in rules if "cohorts" not in rule.settings]


def _problems(
    given: Mapping[str, str],
    names: Collection[str],
    approaches: Mapping[str, Approach],
    rules: Collection[Rule],
    key: str,
) -> list[str]:
    """What is wrong with an approach and a rule that labels are to come from."""
    problems, approach, rule = [], given["approach"], given["rule"]
    if approach not in names:
        problems.append(wrong_value(f"{key}.approach", approach, names))
    elif approach in approaches:
        if approaches[approach].parts:
            problems.append(
                f"{key}.approach: '{approach}' is fused of others, which labels are not made of; "
                f"name one of these: {listed([one.name for one in approaches[approach].parts])}"
            )
        elif "voxel" not in detectors.describe(approaches[approach].detector)["levels"]:
            problems.append(
                f"{key}.approach: '{approach}' scores whole slices; labels need one with maps"
            )
    usable = _without_labels(rules)
    if rule in {one.label for one in rules} - set(usable):
        problems.append(
            f"{key}.rule: '{rule}' is chosen on labels of patients, which must not reach a "
            f"training without them; allowed: {listed(usable)}"
        )
    elif rule not in usable:
        problems.append(wrong_value(f"{key}.rule", rule, usable))
    return problems


def _cycle(known: Mapping[str, Model], approaches: Mapping[str, Approach]) -> list[str]:
    """A circle through labels; those of uses alone are found before."""
    uses = {name: list(model.uses.values()) for name, model in known.items()}
    if uses_cycle(uses):
        return []
    for name, model in known.items():
        if model.labels:
            uses[name] += approaches[model.labels.approach].models
    return uses_cycle(uses)
