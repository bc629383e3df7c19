"""Report all problems of all cohorts in one list, before anything long starts."""

from job import run
from normscan.cohorts.checks import check_cohorts
from normscan.cohorts.gate import pass_gate, read_reports
from normscan.preprocessing.atlases import atlas_problems


def main(snakemake) -> None:
    params = snakemake.params
    reports, roles = read_reports(snakemake.input.reports)
    shared = atlas_problems(params.needed_atlases, params.atlases)
    shared += check_cohorts(reports, roles)
    output = snakemake.output[0]
    pass_gate(output, reports, shared, params.on_bad_scan, params.excluded, params.odd)


run(snakemake, main)
