"""Protocols as plain values for the report, and recipes of papers that they are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from normscan.files import read_json, value_digest
from normscan.streams import ALL, MAIN
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocol_approaches import NO_MODEL
from normscan.workflow.protocol_models import Model
from normscan.workflow.protocols import Protocol, parse_protocol

FOLDER = LIBRARY.parents[1] / "protocols"
# Citation -> protocols that are this software's form of what the paper did, the main one first,
# with digests of their files: one that was edited in place is that recipe no longer. (A file of its
# own: networks are called by the same keys, and code must not tell them apart.)
RECIPES: dict[str, dict[str, str]] = read_json(Path(__file__).with_name("recipes.json"))


def recipe(protocol: Protocol) -> dict[str, Any]:
    """Everything that a protocol does to scans, with all settings; only models that are used."""
    used = protocol.models_used()
    return {
        "contrasts": list(protocol.contrasts),
        "steps": [
            {"step": step.kind, **(step.written or step.settings)} for step in protocol.steps
        ],
        "slices": protocol.slices,
        "shares": list(protocol.shares),
        "streams": _streams(protocol),
        "models": {
            name: {"family": model.family, **model.settings, **_beside(model)}
            for name, model in protocol.models.items()
            if name in used
        },
        "approaches": [
            {
                "title": one.title,
                "model": "" if one.model == NO_MODEL else one.model,
                "detector": one.detector,
                "settings": one.settings,
            }
            for one in protocol.approaches.values()
        ],
        "postprocessing": protocol.postprocessing,
        "fidelity": protocol.fidelity,
        "rules": [rule.label for rule in protocol.rules],
    }


def _streams(protocol: Protocol) -> dict[str, str]:
    """What models are trained on beside healthy subjects, in words; empty when on nothing else."""
    found = {}
    for name, stream in protocol.streams.items():
        who = ", ".join(stream.cohorts) if stream.cohorts else stream.role
        kept = "" if stream.slices == ALL else f" ({stream.slices.replace('_', ' ')} slices)"
        if (name, who, kept) != (MAIN, "healthy", ""):
            found[name] = who + kept
    return found


def _beside(model: Model) -> dict[str, Any]:
    """What a model's entry says beside settings, where it is not the usual."""
    sides = {"inputs": model.inputs, "targets": model.targets}
    found: dict[str, Any] = {key: list(one) for key, one in sides.items() if one is not None}
    found |= {"neighbours": model.neighbours} if model.neighbours else {}
    if model.labels:
        found["labels"] = f"{model.labels.approach} at {model.labels.rule}"
    found |= {"augmentation": model.augmentation} if model.augmentation else {}
    return found | ({"uses": model.uses} if model.uses else {})


def reference(protocol: Protocol) -> dict[str, Any] | None:
    """The recipe of the paper that a protocol cites.

    Returns
    -------
    None : no recipe of that paper is known. Otherwise ``name`` of the recipe, and ``recipe`` as of
        :func:`recipe`, None when its file is not as it was shipped.
    """
    known = RECIPES.get(protocol.citation, {})
    if not known:
        return None
    name = protocol.name if protocol.name in known else next(iter(known))
    path = FOLDER / f"{name}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if content_digest(content) != known[name]:
        return {"name": name, "recipe": None}
    shipped, _ = parse_protocol(name, content)
    return {"name": name, "recipe": recipe(shipped) if shipped else None}


def content_digest(content: dict[str, Any]) -> str:
    """Digest of what a protocol's file says, its description left out."""
    return value_digest({key: value for key, value in content.items() if key != "description"})
