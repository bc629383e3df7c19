"""Text for a methods section: what was run, in words, with references."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normscan.files import read_json
from normscan.report.differences import relation
from normscan.report.methods import methods
from normscan.report.numbers import listing
from normscan.report.settings import literal

REFERENCES = Path(__file__).parent / "citations" / "references.json"

# {key} is replaced by the number of the reference.
SIMULATED = "Cohorts marked as simulated were generated from the ICBM 152 tissue maps {fonov2011}."
SYNTHETIC = (
    "Anomalies of cohorts marked as synthetic were pasted on healthy scans that no model has seen, "
    "after {chatterjee2022}."
)
SOFTWARE = (
    "The workflow ran on Snakemake {molder2021}, with PyTorch {paszke2019} and NumPy {harris2020}."
)


def citation(
    protocols: Sequence[Mapping[str, Any]],
    *,
    cohorts: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: Sequence[int] = (0,),
    simulated: bool = False,
    synthetic: bool = False,
    plugins: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Methods text and reference list of what was run.

    Parameters
    ----------
    protocols : ``name``, ``citation`` (key of a reference, or any text), ``used`` (names of its
        cohorts), ``calibrated_on_patients`` (those that stand in for healthy ones), ``recipe`` and
        ``reference`` as of ``workflow.recipes``.
    cohorts : name -> ``skull_stripped``, ``space``.
    seeds : of the trainings.
    simulated, synthetic : whether such cohorts took part.
    plugins : what families, networks and detectors say of themselves
        (``workflow.introductions``); those that are not there are named and not cited.

    Returns
    -------
    {"text": paragraphs with [numbers], "references": [{"key", "text", "url"}] in that order}.
    A step or publication without a known reference is named and not cited; a key that no
    reference has stays in the text.
    """
    plugins = {"models": {}, "networks": {}, "detectors": {}, **(plugins or {})}
    known, cohorts = all_references(plugins), cohorts or {}
    paragraphs = []
    for one in protocols:
        used = {name: cohorts[name] for name in one.get("used", ()) if name in cohorts}
        said = [_relation(one, known), methods(one["recipe"], used, seeds, plugins)]
        said.append(_on_patients(one.get("calibrated_on_patients", ())))
        paragraphs.append(" ".join(filter(None, said)))
    made = [SIMULATED if simulated else "", SYNTHETIC if synthetic else ""]
    paragraphs.append(" ".join(filter(None, [*made, SOFTWARE])))
    return _numbered("\n\n".join(paragraphs), known)


def all_references(plugins: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Key -> ``text``, ``url``: the references known here, and those that plug-ins bring along."""
    brought: dict[str, dict[str, str]] = {}
    for kind in plugins.values():
        for words in kind.values():
            brought |= words["references"]
    return brought | read_json(REFERENCES)


def after(protocol: Mapping[str, Any]) -> tuple[str, list[str]]:
    """What a protocol has to do with the publication that it cites, and all differences from it.

    Parameters
    ----------
    protocol : ``citation``, ``recipe`` and ``reference``.
    """
    text, lines = relation(protocol)
    known = read_json(REFERENCES).get(protocol.get("citation") or "")
    source = known["text"].rstrip(".") if known else f"'{protocol.get('citation')}'"
    return (f"This protocol {text.format(source=source)}" if text else ""), lines


def _relation(protocol: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    name, key = literal(str(protocol["name"])), str(protocol.get("citation") or "")
    text, lines = relation(protocol)
    if not text:
        return f"Protocol '{name}'."
    source = f"{{{key}}}" if key in known else f"'{literal(key)}'"
    said = f"Protocol '{name}' {text.replace('{source}', source)}"
    return f"{said}: {literal('; '.join(lines))}." if lines else f"{said}."


def _on_patients(cohorts: Sequence[str]) -> str:
    """That patients stand in for healthy scans, which their masks then have a part in."""
    if not cohorts:
        return ""
    names = listing([f"'{literal(name)}'" for name in cohorts])
    return (
        "There was no healthy cohort: operating points that need no labels, and what fused "
        f"approaches are compared with, come from slices without lesions of validation patients "
        f"({names}), whose lesion masks say which slices these are."
    )


def _numbered(text: str, known: Mapping[str, Any]) -> dict[str, Any]:
    order: list[str] = []

    def place(match: re.Match) -> str:
        if match[1] not in known:
            return f"({match[1]})"
        if match[1] not in order:
            order.append(match[1])
        return f"[{order.index(match[1]) + 1}]"

    text = re.sub(r"\{(\w+)\}", place, text)
    return {"text": text, "references": [{"key": key, "url": "", **known[key]} for key in order]}
