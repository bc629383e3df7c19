"""Do the roles of cohorts fit what protocols do with them?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscan.streams import ALL, MAIN
from normscan.workflow.protocols import Protocol

if TYPE_CHECKING:
    from normscan.workflow.configuration import Study


def stream_key(protocol: Protocol, stream: str) -> str:
    """The key of a stream's cohorts, as the protocol writes it."""
    training = f"protocol '{protocol.name}'.training"
    if stream in ((protocol.source.get("training") or {}).get("streams") or {}):
        return f"{training}.streams.{stream}.cohorts"
    return f"{training}.cohorts"


def role_problems(study: Study) -> list[str]:
    """Cohorts whose role is another than the one that a protocol needs, or that are not there."""
    problems = []
    roles = {name: cohort.role for name, cohort in study.cohorts.items()}
    for protocol in study.protocols.values():
        where = f"protocol '{protocol.name}'"
        for stream, one in protocol.streams.items():
            key = stream_key(protocol, stream)
            problems += [_stream_problem(key, name, roles[name]) for name in one.cohorts or ()]
        uses_model = any(one.models for one in protocol.approaches.values())
        for stream, one in protocol.streams.items() if uses_model else ():
            if not one.among(roles).cohorts:
                problems.append(_no_cohort(where, stream, one.role))
        taught = [name for name, model in protocol.models.items() if model.labels]
        calibrating = protocol.calibration_cohorts(roles)
        if taught and not calibrating:
            problems.append(
                f"{where}.models.{taught[0]}.labels.rule: there is no cohort of role 'healthy' to "
                "find the threshold on, nor lesion-free slices of patients"
            )
        fused = [name for name, one in protocol.approaches.items() if one.parts]
        if fused and not calibrating:
            problems.append(
                f"{where}.approaches.{fused[0]}.fuse: there is no cohort of role 'healthy' to "
                "compare maps with, nor lesion-free slices of patients"
            )
        problems += _shown_twice(study, protocol, roles)
        for name in protocol.evaluation_cohorts:
            if roles[name] != "patients":
                problems.append(
                    f"{where}.evaluation.cohorts: '{name}' has role '{roles[name]}'; only "
                    "cohorts of role 'patients' can be evaluated"
                )
    return [problem for problem in problems if problem]


def _shown_twice(study: Study, protocol: Protocol, roles: dict[str, str]) -> list[str]:
    """Synthetic cohorts whose lesions a protocol's models may see in training, and be tested on.

    A patient's lesion stands on a host as well: splits by subject alone would not keep it apart.
    """
    streams = protocol.training_streams(roles).values()
    seen = {name for one in streams if one.slices == ALL for name in one.cohorts or ()}
    tested = protocol.evaluation_cohorts or [n for n, role in roles.items() if role == "patients"]
    tested = {*tested, *protocol.selection_cohorts}
    where, problems = f"protocol '{protocol.name}'", []
    for name, plan in study.synthetic.items():
        if name in seen:
            problems.append(
                f"{where}.training.streams: '{name}' is a synthetic cohort, made to be tested on; "
                "name the cohorts of patients to train on"
            )
        elif plan.settings["lesions"] in seen and name in tested:
            problems.append(
                f"{where}.evaluation.cohorts: '{name}' shows lesions of "
                f"'{plan.settings['lesions']}', which models of this protocol are trained on; name "
                "the cohorts to evaluate without it"
            )
    return problems


def _no_cohort(where: str, stream: str, role: str) -> str:
    """That a stream of all cohorts of a role has none."""
    if stream == MAIN:
        return f"{where}: has models to train, but no cohort of role '{role}' to train them on"
    return f"{where}.training.streams.{stream}: there is no cohort of role '{role}'"


def _stream_problem(key: str, cohort: str, role: str) -> str:
    """Why models cannot be trained on a cohort there; empty when they can."""
    if role == "unlabelled":
        return f"{key}: '{cohort}' has role 'unlabelled'; such cohorts are only screened"
    if role == "patients" and key.endswith("training.cohorts"):
        return (
            f"{key}: '{cohort}' has role 'patients'; these are cohorts of role 'healthy'. To train "
            f"on some of its patients, name it in training.streams.{MAIN}.cohorts, with 'slices: "
            "lesion_free' unless lesions are to be seen in training"
        )
    return ""
