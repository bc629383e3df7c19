"""What the checks of all cohorts and of one screened cohort share: one list, then stop or go on."""

import logging
from collections.abc import Mapping, Sequence

from normscan.cohorts.duplicates import Reports
from normscan.errors import NormscanError
from normscan.files import read_json, write_json

LOG = logging.getLogger("normscan")


def read_reports(paths: list[str]) -> tuple[Reports, dict[str, str]]:
    """Results of ``check_scans`` by cohort, and each cohort's role."""
    reports: Reports = {}
    roles = {}
    for path in paths:
        content = read_json(path)
        cohort = content["cohort"]
        roles[cohort] = content["role"]
        reports.setdefault(cohort, []).extend(content["reports"])
    return reports, roles


def pass_gate(
    output: str,
    reports: Reports,
    shared: list[str],
    on_bad_scan: str,
    excluded: dict[str, dict[str, str]],
    odd: Mapping[str, Sequence[str]],
) -> None:
    """Write down which scans are left out, and why; NormscanError with all problems in one list.

    Parameters
    ----------
    output : ``checked.json``.
    shared : problems that no left out scan would mend.
    on_bad_scan : ``stop`` or ``exclude``.
    excluded : cohort -> scan -> reason, of scans that were left out before.
    odd : cohort -> what was odd when its scans were found.
    """
    bad: dict[str, dict[str, list[str]]] = {
        cohort: {one["scan"]: one["problems"] for one in found if one["problems"]}
        for cohort, found in reports.items()
    }
    lines = [
        f"cohort '{cohort}': {problem}"
        for cohort, scans in bad.items()
        for problems in scans.values()
        for problem in problems
    ]
    if shared or (lines and on_bad_scan == "stop"):
        listed = shared + (lines if on_bad_scan == "stop" else [])
        count = f"{len(listed)} problem{'s' * (len(listed) != 1)}"
        raise NormscanError(
            f"the cohorts have {count}; nothing was started. Mend them, list the scans under "
            "'exclude', or set 'on_bad_scan: exclude' in config.yaml:\n"
            + "\n".join(f"  - {line}" for line in listed)
        )
    for line in lines:
        LOG.warning("left out: %s", line)
    left_out = {
        cohort: {
            **excluded.get(cohort, {}),
            **{scan: "; ".join(problems) for scan, problems in scans.items()},
        }
        for cohort, scans in bad.items()
    }
    warnings = {
        cohort: [*odd.get(cohort, []), *(line for one in found for line in one.get("warnings", []))]
        for cohort, found in reports.items()
    }
    for cohort, told in warnings.items():
        for line in told:
            LOG.warning("cohort '%s': %s", cohort, line)
    write_json(output, {"excluded": left_out, "warnings": warnings})
