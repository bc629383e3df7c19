"""Report all problems of a cohort to be screened, also that its scans are known already."""

from job import run
from normscan.cohorts.duplicates import known_elsewhere
from normscan.cohorts.gate import pass_gate, read_reports
from normscan.preprocessing.atlases import atlas_problems


def main(snakemake) -> None:
    params, cohort = snakemake.params, snakemake.wildcards.cohort
    reports, _ = read_reports(snakemake.input.reports)
    others, roles = read_reports(snakemake.input.others)
    known = known_elsewhere(cohort, reports[cohort], others, roles)
    found = [
        {**one, "problems": one["problems"] + known.get(one["scan"], [])} for one in reports[cohort]
    ]
    output = snakemake.output[0]
    shared = atlas_problems(params.needed_atlases, params.atlases)
    pass_gate(output, {cohort: found}, shared, params.on_bad_scan, params.excluded, params.odd)


run(snakemake, main)
