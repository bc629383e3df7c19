"""All metrics of one cohort, approach and seed, and its curves for plotting."""

import json

import pandas

from job import run
from normscan.evaluation.classes import class_curves
from normscan.evaluation.cohort import ROW, split_curves, split_rows
from normscan.evaluation.metrics import COLUMNS
from normscan.evaluation.residuals import load_residuals
from normscan.files import read_json, read_tsv, write_text, write_tsv
from normscan.postprocessing.class_counts import load_class_counts
from normscan.postprocessing.histograms import load_histograms
from normscan.postprocessing.slice_scores import load_slice_scores

SPLITS = ("validation", "test")


def main(snakemake) -> None:
    files, params, w = snakemake.input, snakemake.params, snakemake.wildcards
    histograms, residuals, slices, classes = {}, {}, {}, {}
    for path in files.histograms:
        histograms |= load_histograms(path)
        slices |= load_slice_scores(path)
        classes |= load_class_counts(path)
    for path in files.residuals:
        residuals |= load_residuals(path)
    scores = pandas.concat([read_tsv(path, dtype={"scan": str}) for path in files.scores])
    froc = pandas.concat([read_tsv(path, dtype={"scan": str}) for path in files.froc])
    thresholds = read_json(files.thresholds)[params.prior]
    found = [
        ["cohort", None, None, rule, "threshold", one["threshold"]]
        for rule, one in thresholds.items()
    ]
    found = pandas.DataFrame(found, columns=ROW).astype({"value": float})
    tables, curves = [found.assign(split="validation")], {}
    subjects = read_tsv(files.subjects, dtype=str)
    subjects = subjects[subjects["scan"].isin([*histograms, *slices])]
    for split in SPLITS:
        own = subjects[subjects["split"] == split]
        subject_of = dict(zip(own["scan"], own["subject"]))
        if not subject_of:
            continue
        chosen_here = [
            rule
            for rule, one in thresholds.items()
            if split == "validation" and w.cohort in one["cohorts"]
        ]
        rows = split_rows(
            subject_of,
            histograms,
            residuals,
            scores,
            residual=params.residual,
            chosen_here=chosen_here,
            slices=slices,
            thresholds={rule: one["threshold"] for rule, one in thresholds.items()},
            classes=classes,
        )
        tables.append(rows.assign(split=split))
        if set(subject_of) & set(histograms):
            curves[split] = split_curves(subject_of, histograms, residuals, froc)
            curves[split]["classes"] = class_curves(classes, subject_of)
    table = pandas.concat(tables, ignore_index=True).assign(
        cohort=w.cohort, approach=f"{w.protocol}/{w.variant}", seed=int(w.seed)
    )
    write_tsv(snakemake.output.rows, table[COLUMNS])
    areas = pandas.concat([read_tsv(path, dtype={"scan": str}) for path in files.slices])
    write_tsv(snakemake.output.slices, areas.merge(subjects[["scan", "subject", "split"]], "inner"))
    write_text(snakemake.output.curves, json.dumps(curves, sort_keys=True))


run(snakemake, main)
