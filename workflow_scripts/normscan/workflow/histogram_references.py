"""The one healthy subject that histograms are matched to: drawn, or as it is named, and checked.

Source: You et al. 2019, section 3.1: "we randomly chose a subject" of the healthy data. Drawn when
the run is planned, so that the chain of steps is called by the subject that was really meant: among
the subjects of the first healthy cohort that the protocol trains on, that which the splits would
take last for validation. It is a training subject unless stored splits of an earlier run say
otherwise; the job looks (``match_histogram.py``). A further subject may come to be the one that is
drawn, and all scans are matched anew; to keep it, write it out (``healthy/sub-07``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from normscan.cohorts.scans import Cohort
from normscan.cohorts.splits import last_in_order
from normscan.plugins import literals
from normscan.preprocessing.labels import step_label
from normscan.workflow.declared import LIBRARY
from normscan.workflow.protocols import Protocol, Step

STEP = "match_histogram"
DRAWN = "healthy"


def with_references(
    protocols: Mapping[str, Protocol], cohorts: Mapping[str, Cohort], seed: int
) -> tuple[dict[str, Protocol], list[str]]:
    """The protocols with every histogram reference as ``cohort/scan``, and what is wrong with any.

    Parameters
    ----------
    seed : of the splits.
    """
    found, problems = {}, []
    for name, protocol in protocols.items():
        steps = []
        for number, step in enumerate(protocol.steps):
            if step.kind == STEP:
                key = f"protocol '{name}'.preprocessing[{number}].{STEP}.reference"
                step, problem = _with_reference(step, protocol, cohorts, seed, key)
                problems += [problem] if problem else []
            steps.append(step)
        found[name] = replace(protocol, steps=tuple(steps))
    return found, problems


def _with_reference(
    step: Step, protocol: Protocol, cohorts: Mapping[str, Cohort], seed: int, key: str
) -> tuple[Step, str]:
    given = step.settings["reference"]
    if given != DRAWN:
        return step, _problem(given, cohorts, key)
    roles = {name: cohort.role for name, cohort in cohorts.items()}
    healthy = protocol.healthy_cohorts(roles)
    if not healthy:
        return step, f"{key}: is '{DRAWN}', but there is no cohort of role 'healthy' to draw from"
    return drawn(step, cohorts[healthy[0]], seed), ""


def drawn(step: Step, cohort: Cohort, seed: int) -> Step:
    """The step with a subject of a cohort (its first scan) as its reference."""
    subject = last_in_order({scan.subject for scan in cohort.scans}, seed, cohort.name)
    scan = min(scan.id for scan in cohort.scans if scan.subject == subject)
    settings: dict[str, Any] = {**step.settings, "reference": f"{cohort.name}/{scan}"}
    defaults = literals(LIBRARY / "preprocessing" / f"{STEP}.py")["SETTINGS"]
    label = step_label(step.kind, settings, defaults)
    return replace(step, settings=settings, label=label, written=step.settings)


def _problem(given: Any, cohorts: Mapping[str, Cohort], key: str) -> str:
    """Why a scan cannot be the reference; empty when it can."""
    advice = f"write '{DRAWN}' (a training subject is drawn) or COHORT/sub-LABEL"
    cohort, _, scan = str(given).partition("/")
    if cohort not in cohorts or not scan:
        return f"{key}: found {given!r}, which is no scan of any cohort; {advice}"
    if cohorts[cohort].role != "healthy":
        role = cohorts[cohort].role
        return (
            f"{key}: found '{given}', a scan of role '{role}'; it must be a healthy one: {advice}"
        )
    if scan not in {one.id for one in cohorts[cohort].scans}:
        return f"{key}: found '{given}', but cohort '{cohort}' has no scan '{scan}'; {advice}"
    return ""
