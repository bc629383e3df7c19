"""Published numbers of a study beside those of a run: tables, and the order of approaches drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas

from normscan.evaluation import study
from normscan.evaluation.classes import class_metric, classes_in
from normscan.evaluation.compared import Compared
from normscan.evaluation.published import (
    PRIMARY,
    SEEDS,
    about_published,
    load_published,
    published_studies,
)
from normscan.figures.collection import Figures
from normscan.figures.study import rank_scatter

RANKS = ["cohort", "published data set", "measure", "approaches", "rank correlation", "p"]
BESIDE = ["approach", "measure"]
# Over the approaches: values and their spread.
Values = Mapping[str, tuple[float, float]]


def published(
    figures: Figures, of: Compared, study_name: str, primary: str = ""
) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    """Rank correlations with published tables, and published beside measured values.

    Parameters
    ----------
    study_name : key of a publication; two tables without rows where none of it are shipped.
    primary : the threshold rule that a study's JSON calls so.
    """
    if study_name not in published_studies():
        return pandas.DataFrame(columns=RANKS), pandas.DataFrame(columns=BESIDE)
    about, table = about_published(study_name), load_published(study_name)
    theirs = {
        measure["label"]: {
            dataset: _published(rows, measure, of)
            for dataset, rows in table.groupby("dataset", sort=False)
        }
        for measure in about["measures"]
    }
    ours = {
        measure["label"]: {
            place: values
            for cohort in of.cohorts
            for place, values in _places(of, measure, cohort, primary).items()
        }
        for measure in about["measures"]
    }
    main = about["measures"][0]["label"]
    ranks = _ranked(figures, about["name"], main, ours[main], theirs[main])
    return ranks, _beside(of.whole, ours, theirs)


def _published(rows: pandas.DataFrame, measure: Mapping[str, Any], of: Compared) -> Values:
    """Title of this run -> published value and spread, of approaches that both have."""
    by_name = rows.set_index("approach")
    found = {}
    for title in of.whole:
        name = of.by_title[title].get("published") or title
        if name in by_name.index:
            row = by_name.loc[name]
            spread = float(row[measure["spread"]]) if "spread" in measure else float("nan")
            found[title] = (float(row[measure["column"]]), spread)
    return {title: value for title, value in found.items() if np.isfinite(value[0])}


def _places(
    of: Compared, measure: Mapping[str, Any], cohort: str, primary: str
) -> dict[str, Values]:
    """What of this run is compared: a cohort, or each class of lesions that it has."""
    if not measure.get("per_class"):
        return {cohort: _measured(of, measure, cohort, primary)}
    found = {}
    for name in classes_in(of.metrics[of.metrics["cohort"] == cohort]):
        own = {key: class_metric(name, measure[key]) for key in ("metric", "metric_spread")}
        found[f"{cohort}, {name}"] = _measured(of, {**measure, **own}, cohort, primary)
    return found


def _measured(of: Compared, measure: Mapping[str, Any], cohort: str, primary: str) -> Values:
    """Title -> value and spread of this run, means over seeds."""
    rule = primary if measure["rule"] == PRIMARY else measure["rule"]
    over_seeds = of.pooled_seeds(measure["metric"], rule, cohort)
    values = {title: mean for title, (mean, _) in over_seeds.items()}
    if measure.get("metric_spread") == SEEDS:
        spreads = {title: spread for title, (_, spread) in over_seeds.items()}
    else:
        spreads = of.pooled(measure.get("metric_spread", ""), rule, cohort)
    return {title: (values[title], spreads.get(title, np.nan)) for title in values}


def _ranked(
    figures: Figures,
    name: str,
    measure: str,
    ours: Mapping[str, Values],
    theirs: Mapping[str, Values],
) -> pandas.DataFrame:
    """Rank correlations of one measure for every pair of cohort and data set, drawn as well."""
    rows, pairs, notes = [], {}, {}
    for cohort, mine in ours.items():
        for dataset, published_values in theirs.items():
            one, other = ({t: v for t, (v, _) in x.items()} for x in (mine, published_values))
            found = study.rank_correlation(one, other)
            rows.append([cohort, dataset, measure, *found.values()])
            panel = f"{cohort}, {dataset}"
            pairs[panel] = {title: (other[title], one[title]) for title in one if title in other}
            # No minus before what is rounded to zero.
            rho = round(found["rho"], 2) + 0.0
            notes[panel] = f"rank correlation {rho:.2f}, n = {found['approaches']}"
    pairs = {panel: both for panel, both in pairs.items() if len(both) >= study.FEWEST}
    if pairs:
        figures.add(
            rank_scatter(
                pairs,
                notes,
                across=f"published {measure}",
                up=f"{measure} of this run",
                looks=figures.looks,
            ),
            "published",
            "Published and measured",
            f"Published {measure} ({name}) against this run's",
            "Other scans and other training: the order of approaches may be compared, values not.",
        )
    return pandas.DataFrame(rows, columns=RANKS)


def _beside(
    titles: Sequence[str],
    ours: Mapping[str, Mapping[str, Values]],
    theirs: Mapping[str, Mapping[str, Values]],
) -> pandas.DataFrame:
    """A row per approach and measure: this run's columns by cohort, published ones by data set."""
    rows = []
    for title in titles:
        for measure in ours:
            columns = {f"this run: {cohort}": v for cohort, v in ours[measure].items()}
            columns |= {f"published: {dataset}": v for dataset, v in theirs[measure].items()}
            cells = {name: values.get(title, (np.nan, np.nan)) for name, values in columns.items()}
            row: dict[str, Any] = {"approach": title, "measure": measure}
            for name, (value, spread) in cells.items():
                row |= {name: value, f"{name} (std)": spread}
            if any(np.isfinite(value) for value, _ in cells.values()):
                rows.append(row)
    table = pandas.DataFrame(rows, columns=None if rows else BESIDE)
    # Where nothing has a spread, there is no column of spreads.
    empty = [c for c in table.columns if c.endswith(" (std)") and table[c].isna().all()]
    return table.drop(columns=empty)
