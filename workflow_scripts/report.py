"""The report of the run."""

from job import run
from normscan.files import write_text
from normscan.report.content import content
from normscan.report.report import build_report


def main(snakemake) -> None:
    params = snakemake.params
    shown = content(snakemake.input, params.run, results=params.results, code=params.code)
    page = build_report(shown, params.results, embed=params.embed)
    write_text(snakemake.output[0], page)


run(snakemake, main)
