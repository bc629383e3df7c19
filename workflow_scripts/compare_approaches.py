"""All approaches of a protocol against each other: tables and figures over cohorts."""

from pathlib import Path

import pandas

from job import run
from normscan.evaluation import study
from normscan.evaluation.classes import class_table
from normscan.evaluation.compared import Compared
from normscan.evaluation.trainings import training_tests, trainings
from normscan.figures.against_published import published
from normscan.figures.collection import Figures
from normscan.figures.comparison import (
    add_bars,
    add_correlations,
    add_networks,
    add_shares,
    add_shift,
    add_significance,
    add_violins,
)
from normscan.figures.looks import looks
from normscan.figures.side_by_side import add_examples
from normscan.figures.sweeps import add_sweeps, add_tuning
from normscan.files import read_json, read_tsv, write_json, write_tsv


def main(snakemake) -> None:
    params, files, out = snakemake.params, snakemake.input, snakemake.output
    metrics = read_tsv(files.metrics, dtype={"subject": str, "scan": str})
    of = Compared(metrics, snakemake.wildcards.protocol, params.approaches)
    whole = of.metrics[of.metrics["approach"].isin(of.whole)]
    figures = Figures(Path(params.folder), looks(params.approaches), params.orientation)
    patients = [study.patient_statistics(whole, cohort, params.rule) for cohort in of.cohorts]
    tests = [study.comparisons(whole, cohort, params.rule) for cohort in of.cohorts]
    write_tsv(out.patients, pandas.concat(patients, ignore_index=True))
    write_tsv(out.classes, class_table(whole, of.cohorts))
    write_tsv(out.tests, pandas.concat(tests, ignore_index=True))
    write_tsv(out.trainings, trainings(whole))
    write_tsv(out.training_tests, training_tests(whole))
    add_bars(figures, of)
    add_violins(figures, of, params.rule)
    add_shares(figures, of)
    add_shift(figures, of)
    described = {name: read_json(path) for name, path in zip(params.models, files.models)}
    add_networks(figures, of, described)
    write_tsv(out.correlations, add_correlations(figures, of))
    for cohort, table in zip(of.cohorts, tests):
        add_significance(figures, cohort, table[table["metric"] == "auprc"])
    for cohort in of.cohorts:
        add_examples(figures, cohort, of, files.maps, params.lesion_labels[cohort])
    write_tsv(out.sweeps, add_sweeps(figures, of, params.published, params.rule))
    tuned = [read_json(path) for path in files.tuned]
    write_tsv(out.tuning, add_tuning(figures, params.tuned, tuned))
    ranks, beside = published(figures, of, params.published, params.rule)
    write_tsv(out.ranks, ranks)
    write_tsv(out.beside, beside)
    write_json(out.figures, {"figures": figures.done})


run(snakemake, main)
