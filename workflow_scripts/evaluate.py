"""All metrics of one cohort, approach and seed, and its curves for plotting."""

import json
from pathlib import Path

import numpy as np
import pandas

from job import run
from normscan.evaluation.curves import auprc, auroc, thinned
from normscan.evaluation.froc import froc_curve
from normscan.evaluation.metrics import COLUMNS, over_subjects, score_metrics
from normscan.evaluation.residuals import Residuals, chi_square, linear_histograms
from normscan.files import read_json, read_tsv, write_text, write_tsv
from normscan.postprocessing.histograms import load_histograms

SPLITS = ("validation", "test")


def main(snakemake) -> None:
    files = snakemake.input
    w = snakemake.wildcards
    subjects = read_tsv(files.subjects, dtype=str)
    split_of = dict(zip(subjects["scan"], subjects["split"]))
    histograms, residuals = {}, {}
    for path in files.histograms:
        histograms |= load_histograms(path)
        for scan, facts in read_json(Path(path).with_suffix(".json"))["scans"].items():
            residuals[scan] = [Residuals.from_json(facts[key]) for key in ("normal", "anomalous")]
    scores = pandas.concat([read_tsv(path, dtype={"subject": str}) for path in files.scores])
    froc = pandas.concat([read_tsv(path, dtype={"scan": str}) for path in files.froc])
    rows, curves = [], {}
    for split in SPLITS:
        scans = [scan for scan in histograms if split_of.get(scan) == split]
        if not scans:
            continue
        pooled = total(histograms[scan] for scan in scans)
        normal, anomalous = (total(residuals[scan][i] for scan in scans) for i in (0, 1))
        rows += [[split, "cohort", "", *row] for row in score_metrics(pooled, normal, anomalous)]
        edges, *bars = linear_histograms(normal, anomalous)
        own = scores[scores["scan"].isin(scans)]
        rows += [[split, "cohort", "", *row] for row in over_subjects(own)]
        for scan in sorted(scans):
            metrics = score_metrics(histograms[scan], *residuals[scan])
            rows += [[split, "subject", scan, *row] for row in metrics]
        rows += [
            [split, "subject", row.scan, row.threshold_rule, row.metric, row.value]
            for row in own.itertuples()
        ]
        curves[split] = {
            **thinned(pooled),
            "froc": froc_curve(froc[froc["scan"].isin(scans)]),
            "auroc": auroc(pooled),
            "auprc": auprc(pooled),
            "prevalence": float(pooled.lesion.sum() / (pooled.lesion + pooled.normal).sum()),
            "edges": edges.tolist(),
            "normal": bars[0].round(3).tolist(),
            "anomalous": bars[1].round(3).tolist(),
            "chi_square": chi_square(normal, anomalous),
        }
    thresholds = read_json(files.thresholds)[snakemake.params.prior]
    for rule, found in thresholds.items():
        value = np.nan if found["threshold"] is None else found["threshold"]
        rows.append(["validation", "cohort", "", rule, "threshold", value])
    approach = f"{w.protocol}/{w.variant}"
    table = pandas.DataFrame(
        [[w.cohort, approach, int(w.seed), *row] for row in rows], columns=COLUMNS
    )
    write_tsv(snakemake.output.rows, table)
    write_text(snakemake.output.curves, json.dumps(curves, sort_keys=True))


def total(values):
    """Sum of values that add up; there is at least one."""
    values = list(values)
    found = values[0]
    for value in values[1:]:
        found = found + value
    return found


run(snakemake, main)
