"""Join the evaluations of all cohorts, approaches and seeds into one tidy table."""

import pandas

from job import run
from normscan.files import read_tsv, write_tsv

ORDER = ["cohort", "approach", "seed", "split", "level", "subject", "threshold_rule", "metric"]


def main(snakemake) -> None:
    tables = [read_tsv(path, dtype={"subject": str}) for path in snakemake.input]
    table = pandas.concat(tables, ignore_index=True) if tables else pandas.DataFrame(columns=ORDER)
    write_tsv(snakemake.output[0], table.sort_values(ORDER, kind="stable", ignore_index=True))


run(snakemake, main)
