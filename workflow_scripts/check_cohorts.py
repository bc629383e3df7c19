"""Report all problems of all cohorts in one list, before anything long starts."""

import logging
from pathlib import Path

from job import run
from normscan.cohorts.checks import check_cohorts
from normscan.errors import NormscanError
from normscan.files import read_json, write_json

LOG = logging.getLogger("normscan")


def main(snakemake) -> None:
    reports: dict[str, list] = {}
    roles = {}
    for path in snakemake.input.reports:
        content = read_json(path)
        cohort = Path(path).parent.name
        roles[cohort] = content["role"]
        reports.setdefault(cohort, []).extend(content["reports"])
    shared = check_cohorts(reports, roles)
    bad = {
        cohort: {one["scan"]: one["problems"] for one in found if one["problems"]}
        for cohort, found in reports.items()
    }
    lines = [
        f"cohort '{cohort}': {problem}"
        for cohort, scans in bad.items()
        for problems in scans.values()
        for problem in problems
    ]
    if shared or (lines and snakemake.params.on_bad_scan == "stop"):
        listed = shared + (lines if snakemake.params.on_bad_scan == "stop" else [])
        count = f"{len(listed)} problem{'s' * (len(listed) != 1)}"
        raise NormscanError(
            f"the cohorts have {count}; nothing was started. Mend them, list the scans under "
            "'exclude', or set 'on_bad_scan: exclude' in config.yaml:\n"
            + "\n".join(f"  - {line}" for line in listed)
        )
    for line in lines:
        LOG.warning("left out: %s", line)
    excluded = {
        cohort: {
            **snakemake.params.excluded.get(cohort, {}),
            **{scan: "; ".join(problems) for scan, problems in scans.items()},
        }
        for cohort, scans in bad.items()
    }
    warnings = {
        cohort: [line for one in found for line in one.get("warnings", [])]
        for cohort, found in reports.items()
    }
    write_json(snakemake.output[0], {"excluded": excluded, "warnings": warnings})


run(snakemake, main)
