"""The same image under two names, found by what its voxels hold."""

from __future__ import annotations

from typing import Any

Reports = dict[str, list[dict[str, Any]]]


def contents(reports: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Scan -> contrast -> digest of its voxels, from results of :func:`checks.check_scan`."""
    return {
        report["scan"]: {contrast: fact["voxels"] for contrast, fact in report["facts"].items()}
        for report in reports
    }


def known_elsewhere(
    cohort: str, reports: list[dict[str, Any]], others: Reports, roles: dict[str, str]
) -> dict[str, list[str]]:
    """Scans of a cohort to be screened that stand somewhere else, too, with what is wrong.

    Two scans of the cohort itself with one content are both named: nothing says whose it is.

    Parameters
    ----------
    cohort, reports : the cohort to be screened, and results of :func:`checks.check_scan` for it.
    others : the same results for cohorts of other roles.
    roles : other cohort -> role.
    """
    places: dict[str, list[tuple[str, str, str]]] = {}
    for name, found in {**others, cohort: reports}.items():
        for scan, digests in contents(found).items():
            for contrast, digest in digests.items():
                places.setdefault(digest, []).append((name, scan, contrast))
    problems: dict[str, list[str]] = {}
    for scan, digests in contents(reports).items():
        for contrast, digest in digests.items():
            own = (cohort, scan, contrast)
            first = next((place for place in places[digest] if place != own), None)
            if first:
                problems.setdefault(scan, []).append(
                    f"{scan}: its {contrast} has the same content as {first[0]}/{first[1]} "
                    f"{first[2]} {_consequence(roles.get(first[0], ''))}"
                )
    return problems


def _consequence(role: str) -> str:
    if role == "healthy":
        return "(role healthy): models are trained on it and would find nothing in it; exclude it"
    if role:
        return f"(role {role}): it is evaluated there and may choose thresholds; exclude it"
    return "of the same cohort: whose image is it? Exclude one of them"
