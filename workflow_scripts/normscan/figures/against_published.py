"""Published numbers of a study beside those of a run: tables, and the order of approaches drawn."""

from __future__ import annotations

import numpy as np
import pandas

from normscan.evaluation import study
from normscan.evaluation.compared import Compared
from normscan.evaluation.published import about_published, load_published, published_studies
from normscan.figures.collection import Figures
from normscan.figures.study import rank_scatter

RANKS = ["cohort", "published data set", "approaches", "rank correlation", "p"]


def published(
    figures: Figures, of: Compared, study_name: str
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Rank correlations with published tables, and published beside measured values.

    Parameters
    ----------
    study_name : key of a publication; two tables without rows where none of it are shipped.
    """
    if study_name not in published_studies():
        return pandas.DataFrame(columns=RANKS), pandas.DataFrame(columns=["approach"])
    table = load_published(study_name)
    ranks, pairs, notes = [], {}, {}
    beside = {"approach": of.whole}
    for cohort in of.cohorts:
        ours = {title: mean for title, (mean, _) in of.of_whole("auprc", cohort).items()}
        beside[f"this run: {cohort}"] = [ours.get(title, np.nan) for title in of.whole]
        for dataset, rows in table.groupby("dataset", sort=False):
            theirs = dict(zip(rows["approach"], rows["auprc"]))
            found = study.rank_correlation(ours, theirs)
            ranks.append([cohort, dataset, *found.values()])
            both = {name: (theirs[name], ours[name]) for name in ours if name in theirs}
            panel = f"{cohort}, {dataset}"
            pairs[panel] = both
            notes[panel] = f"rank correlation {found['rho']:.2f}, n = {found['approaches']}"
    for dataset, rows in table.groupby("dataset", sort=False):
        theirs = dict(zip(rows["approach"], rows["auprc"]))
        beside[f"published: {dataset}"] = [theirs.get(title, np.nan) for title in of.whole]
    pairs = {panel: both for panel, both in pairs.items() if len(both) >= study.FEWEST}
    if pairs:
        figures.add(
            rank_scatter(pairs, notes, looks=figures.looks),
            "published",
            "Published and measured",
            f"Published AUPRC ({about_published(study_name)['name']}) against this run's",
            "Other scans and other training: the order of approaches may be compared, values not.",
        )
    return pandas.DataFrame(ranks, columns=RANKS), pandas.DataFrame(beside)
