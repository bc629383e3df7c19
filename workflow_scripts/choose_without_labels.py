"""Scores of all approaches on synthetic anomalies, and how good a choice by them would be."""

from pathlib import Path

from job import run
from normscan.evaluation.compared import Compared
from normscan.evaluation.healthy_rates import rate_table
from normscan.evaluation.resampled import by_subject
from normscan.evaluation.selection import (
    label_free_scores,
    rank_table,
    regret_table,
    score_table,
)
from normscan.figures.collection import Figures
from normscan.figures.looks import looks
from normscan.figures.selection import add_choices
from normscan.files import read_json, read_tsv, write_json, write_tsv
from normscan.postprocessing.histograms import load_histograms
from normscan.postprocessing.thresholds import RULES, SYNTHETIC_RULES


def main(snakemake) -> None:
    params, files, out = snakemake.params, snakemake.input, snakemake.output
    protocol = snakemake.wildcards.protocol
    metrics = read_tsv(files.metrics, dtype={"subject": str, "scan": str})
    of = Compared(metrics, protocol, params.approaches)
    titles = {one["variant"]: one["title"] for one in params.approaches}
    tables = {
        cohort: read_tsv(path, dtype=str)
        for cohort, path in zip(params.cohorts, files.subjects, strict=True)
    }
    scans = histograms(params.records, files.histograms, titles)
    everyone = hosts(scans, tables, ("validation", "test"))
    tested = hosts(scans, tables, ("test",))
    points = {
        (titles[one["variant"]], one["seed"]): read_json(path)
        for one, path in zip(params.jobs, files.thresholds, strict=True)
    }
    found = {
        prior: label_free_scores(tested, params.cohorts, params.priors, prior)
        for prior in sorted(set(params.priors.values()))
    }
    free = [title for title in of.whole if of.by_title[title]["baseline"]]
    own = {cohort: found[params.priors[cohort]] for cohort in params.priors}
    regret = regret_table(of, params.judged, own, label_free(params.rules))
    figures = Figures(Path(params.folder), looks(params.approaches))
    add_choices(figures, of, params.judged, own)
    write_tsv(out.regret, regret)
    write_tsv(out.scores, score_table(list(found.values()), free))
    write_tsv(out.ranks, rank_table(of, params.judged, own))
    write_tsv(out.rates, rate_table(everyone, points, params.priors, params.rules))
    variants = {title: variant for variant, title in titles.items()}
    write_json(
        out.summary,
        {
            "protocol": protocol,
            "cohorts": params.cohorts,
            "judged": params.judged,
            "figures": figures.done,
            # What the leaderboards take for the baseline, by cohort.
            "baselines": {
                cohort: variants[scores.chosen(free)]
                for cohort, scores in own.items()
                if scores.chosen(free)
            },
            "chosen": {
                cohort: variants[scores.chosen(of.whole)]
                for cohort, scores in own.items()
                if scores.chosen(of.whole)
            },
        },
    )


def histograms(records: list[dict], paths: list[str], titles: dict[str, str]) -> dict:
    """(approach, seed, cohort) -> scan -> its histogram."""
    found: dict = {}
    for one, path in zip(records, paths, strict=True):
        key = (titles[one["variant"]], one["seed"], one["cohort"])
        found.setdefault(key, {}).update(load_histograms(path))
    return found


def hosts(scans: dict, tables: dict, splits: tuple[str, ...]) -> dict:
    """(approach, seed, cohort) -> histogram of each host in one of the splits."""
    found = {}
    for key, own in scans.items():
        table = tables[key[2]]
        table = table[table["split"].isin(splits)]
        found[key] = by_subject(own, dict(zip(table["scan"], table["subject"])))
    return found


def label_free(rules: list[dict]) -> dict[str, bool]:
    """Threshold rule -> whether no patient's label had a part in it."""
    return {
        rule["label"]: rule["kind"] in SYNTHETIC_RULES or "cohorts" not in RULES[rule["kind"]]
        for rule in rules
        if rule["kind"] in RULES
    }


run(snakemake, main)
