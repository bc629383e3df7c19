"""What settings do: metrics along sweeps, and what their choice on healthy scans went by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas

from normscan.evaluation.compared import Compared
from normscan.evaluation.published import PRIMARY, about_published, published_studies
from normscan.evaluation.sweeps import find_sweeps, sweep_table, tuning_table
from normscan.figures.collection import Figures
from normscan.figures.labels import rule_label, setting_label
from normscan.figures.study import setting_lines, tuning_lines

USUAL = {"label": "AUPRC", "metric": "auprc", "rule": "none"}
CRITERIA = {"mean_change": "mean absolute change of healthy slices"}


def main_measure(study: str, primary: str = "") -> Mapping[str, str]:
    """Label, metric and rule by which a study ranks approaches; AUPRC where none is shipped."""
    if study not in published_studies():
        return USUAL
    first = about_published(study)["measures"][0]
    return {**first, "rule": primary if first["rule"] == PRIMARY else first["rule"]}


def add_sweeps(figures: Figures, of: Compared, study: str, primary: str = "") -> pandas.DataFrame:
    """Metrics over the numbers that approaches differ in, a figure per setting; also as a table.

    Parameters
    ----------
    study : key of the publication whose main measure is drawn.
    primary : the threshold rule that it calls so.
    """
    settings = {title: of.by_title[title].get("settings", {}) for title in of.whole}
    found, measure = find_sweeps(settings), main_measure(study, primary)
    table = sweep_table(of, found, measure["metric"], measure["rule"])
    for setting in dict.fromkeys(table["setting"]):
        own = table[table["setting"] == setting]
        values: dict[str, dict[str, dict[float, tuple[float, float]]]] = {}
        for row in own.itertuples():
            line = values.setdefault(str(row.cohort), {}).setdefault(str(row.approaches), {})
            line[float(row.value)] = (float(row.mean), float(row.std))
        looks = {
            sweep.name: figures.looks[title]
            for sweep in found
            for title in sweep.titles.values()
            if title in figures.looks and sweep.setting == setting
        }
        name, label = setting_label(setting), measure["label"]
        figures.add(
            setting_lines(values, across=name, label=label, looks=looks),
            f"sweep_{setting.replace('.', '_')}",
            "Study",
            f"{label} against {name}",
            "Approaches that differ in this alone; test patients, mean over seeds with standard "
            f"deviation. {_threshold(measure['rule'])}",
        )
    return table


def _threshold(rule: str) -> str:
    return "" if rule == "none" else f"Threshold: {rule_label(rule)}."


def add_tuning(
    figures: Figures, titles: Sequence[str], records: Sequence[Mapping[str, Any]]
) -> pandas.DataFrame:
    """What settings did on healthy scans where they were chosen; a figure of each, and a table.

    Parameters
    ----------
    titles, records : approaches, and what their tuning wrote (first seed).
    """
    table = tuning_table(dict(zip(titles, records, strict=True)))
    kinds = table[["setting", "criterion"]].drop_duplicates()
    for setting, criterion in zip(kinds["setting"], kinds["criterion"]):
        own = table[(table["setting"] == setting) & (table["criterion"] == criterion)]
        if own.groupby("approach")["value"].nunique().max() < 2:
            # Found at once: there is no choice to be shown.
            continue
        lines, chosen = {}, {}
        for title, rows in own.groupby("approach", sort=False):
            rows = rows.sort_values("value")
            lines[str(title)] = (rows["value"].to_numpy(float), rows["result"].to_numpy(float))
            best = rows[rows["chosen"]]
            if len(best):
                chosen[str(title)] = (float(best["value"].iloc[0]), float(best["result"].iloc[0]))
        label = CRITERIA.get(criterion, criterion.replace("_", " "))
        name = setting_label(setting)
        figures.add(
            tuning_lines(lines, chosen, across=name, label=label, looks=figures.looks),
            f"tuning_{setting}_{criterion}",
            "Study",
            f"{label} against {name}",
            "Healthy validation slices, no labels; first seed. A ring marks the value that was "
            "taken: the least one, unless the log and the report say that it was not determined.",
        )
    return table
