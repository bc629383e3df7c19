"""Fidelity of one cohort's reconstructions by an approach and seed, as rows of metrics."""

import pandas

from job import run
from normscan.evaluation.fidelity import ROW, fidelity_rows
from normscan.evaluation.metrics import COLUMNS
from normscan.files import read_tsv, write_tsv

SPLITS = ("validation", "test")


def main(snakemake) -> None:
    files, w = snakemake.input, snakemake.wildcards
    tables = [read_tsv(path, dtype={"scan": str, "metric": str}) for path in files.scores]
    scores = pandas.concat(tables, ignore_index=True)
    subjects = read_tsv(files.subjects, dtype=str)
    found = [pandas.DataFrame(columns=[*ROW, "split"])]
    for split in SPLITS:
        own = subjects[subjects["split"] == split]
        rows = fidelity_rows(scores, dict(zip(own["scan"], own["subject"])))
        found += [rows.assign(split=split)] if len(rows) else []
    table = pandas.concat(found, ignore_index=True).assign(
        cohort=w.cohort, approach=f"{w.protocol}/{w.variant}", seed=int(w.seed)
    )
    write_tsv(snakemake.output[0], table[COLUMNS])


run(snakemake, main)
