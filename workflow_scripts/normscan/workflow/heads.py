"""Heads that no step would strip: said when a run is planned, before models learn skulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normscan.workflow.configuration import Study

# Steps after which volumes show what models are to see, and no more.
STRIPPING = ("strip_skull", "find_body")


def head_problems(study: Study) -> list[str]:
    """Protocols without such a step that use cohorts which are not stripped, a line each."""
    roles = {name: cohort.role for name, cohort in study.cohorts.items()}
    problems = []
    for protocol in study.protocols.values():
        heads = [
            f"'{name}'"
            for name, cohort in study.cohorts.items()
            if not cohort.skull_stripped and protocol.uses(name, roles)
        ]
        if heads and not any(step.kind in STRIPPING for step in protocol.steps):
            problems.append(
                f"protocol '{protocol.name}'.preprocessing: no step strips skulls, and "
                f"{', '.join(heads)} may show heads (skull_stripped is not true); add "
                f"'{STRIPPING[0]}: {{}}' ('{STRIPPING[1]}: {{}}' where the whole body is to be "
                "seen), or set skull_stripped: true of cohorts that show brains alone"
            )
    return problems
