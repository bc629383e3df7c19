"""``config.selection``: synthetic cohorts that choose without labels, checked when planned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscan.cohorts.load import SYNTHETIC
from normscan.plugins import literals
from normscan.workflow.declared import LIBRARY
from normscan.workflow.schema import wrong_value

if TYPE_CHECKING:
    from normscan.workflow.configuration import Study
    from normscan.workflow.protocols import Protocol, Rule

THRESHOLDS: Path = LIBRARY / "postprocessing" / "thresholds.py"
KEY = "config.selection.cohorts"


def is_synthetic(rule: Rule) -> bool:
    """Whether a threshold rule looks at synthetic cohorts."""
    return rule.kind in literals(THRESHOLDS)["SYNTHETIC_RULES"]


def selection_cohorts(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The cohorts that choose; none where the configuration names none."""
    return tuple((config.get("selection") or {}).get("cohorts", ()))


def named_problems(config: Mapping[str, Any], protocols: Mapping[str, Protocol]) -> list[str]:
    """Cohorts that are not there or not synthetic, and rules that have none to look at."""
    entries, chosen = config["cohorts"], selection_cohorts(config)
    problems = [_problem(KEY, name, entries) for name in chosen]
    for protocol in protocols.values():
        for rule in filter(is_synthetic, protocol.rules):
            key = f"protocol '{protocol.name}'.threshold_rules.{rule.kind}"
            own = rule.settings["cohorts"] or ()
            # Those that are not there are said where all rules' cohorts are looked up.
            problems += [
                _problem(f"{key}.cohorts", name, entries) for name in own if name in entries
            ]
            if not own and not chosen:
                problems.append(
                    f"{key}: has no synthetic cohort to look at; name some under {KEY} "
                    "(docs/selection.md)"
                )
    return [problem for problem in problems if problem]


def _problem(key: str, name: str, entries: Mapping[str, Any]) -> str:
    """Why a cohort cannot choose; empty when it can."""
    if name not in entries:
        return wrong_value(key, name, list(entries))
    if entries[name]["source"] != SYNTHETIC:
        return (
            f"{key}: '{name}' has source '{entries[name]['source']}'; it must be '{SYNTHETIC}': "
            "only lesions that were pasted are known without labels"
        )
    return ""


def study_problems(study: Study) -> list[str]:
    """What only the loaded cohorts show: lesions that are judged by, and nobody to validate on."""
    problems = []
    for name in study.selection:
        donors = study.synthetic[name].settings["lesions"]
        judged = [
            protocol.name
            for protocol in study.protocols.values()
            if donors and donors in (protocol.evaluation_cohorts or (donors,))
        ]
        if judged:
            problems.append(
                f"{KEY}: '{name}' shows lesions of '{donors}', which protocol '{judged[0]}' "
                "evaluates: a choice that has seen them is none without labels; name the "
                "protocol's evaluation.cohorts without it, or paste other lesions"
            )
    for protocol in study.protocols.values():
        for rule in filter(is_synthetic, protocol.rules):
            named = rule.settings["cohorts"] or study.selection
            if not any(study.validation[one] for one in named):
                problems.append(
                    f"protocol '{protocol.name}'.threshold_rules.{rule.kind}: none of its cohorts "
                    f"({', '.join(named)}) has validation subjects; set their 'validation'"
                )
    return problems
