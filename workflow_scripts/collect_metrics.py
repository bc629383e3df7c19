"""Join the evaluations of all cohorts, approaches and seeds into one tidy table."""

import pandas

from job import run
from normscan.evaluation.metrics import COLUMNS
from normscan.files import read_tsv, write_tsv

ORDER = [name for name in COLUMNS if name != "value"]


def main(snakemake) -> None:
    tables = [read_tsv(path, dtype={"subject": str, "scan": str}) for path in snakemake.input]
    table = (
        pandas.concat(tables, ignore_index=True) if tables else pandas.DataFrame(columns=COLUMNS)
    )
    write_tsv(snakemake.output[0], table.sort_values(ORDER, kind="stable", ignore_index=True))


run(snakemake, main)
