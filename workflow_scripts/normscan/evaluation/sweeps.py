"""Approaches that differ in one number only: what a setting does (You et al. 2019, Figs. 2a, 3).

A sweep is written as several approaches of a protocol that agree in everything but one setting, of
the detector (``tv_weight``, ``steps``) or of the model (``clusters``). Nothing else has to be said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from os.path import commonprefix
from typing import Any, NamedTuple

import pandas

from normscan.evaluation.compared import Compared

FEWEST = 3
COLUMNS = ["setting", "approaches", "value", "approach", "cohort", "metric", "mean", "std"]


class Sweep(NamedTuple):
    """A setting, what the approaches are called together, and its values with their titles."""

    setting: str
    name: str
    titles: dict[float, str]


def find_sweeps(settings: Mapping[str, Mapping[str, Any]]) -> list[Sweep]:
    """Every setting that at least three approaches differ in, and in nothing else.

    Parameters
    ----------
    settings : title -> all that determines the approach, detector and model: setting -> value.
    """
    names = dict.fromkeys(name for one in settings.values() for name in one)
    found = []
    for name in names:
        groups: dict[str, dict[float, str]] = {}
        for title, own in settings.items():
            if _is_number(own.get(name)):
                rest = json.dumps({k: v for k, v in own.items() if k != name}, sort_keys=True)
                groups.setdefault(rest, {})[own[name]] = title
        found += [
            Sweep(name, together(titles.values()), dict(sorted(titles.items())))
            for titles in groups.values()
            if len(titles) >= FEWEST
        ]
    return found


def together(titles) -> str:
    """What titles begin with alike, as a name for all of them."""
    titles = list(titles)
    return commonprefix(titles).rstrip(" ,;:([=-") or titles[0]


def sweep_table(of: Compared, found: list[Sweep], metric: str, rule: str) -> pandas.DataFrame:
    """A metric of the level ``cohort`` along every sweep: mean and spread over seeds.

    Returns
    -------
    table : columns :data:`COLUMNS`.
    """
    rows = []
    for sweep in found:
        for cohort in of.cohorts:
            values = of.pooled_seeds(metric, rule, cohort)
            for value, title in sweep.titles.items():
                if title in values:
                    mean, std = values[title]
                    rows.append(
                        [sweep.setting, sweep.name, value, title, cohort, metric, mean, std]
                    )
    return pandas.DataFrame(rows, columns=COLUMNS)


def tuning_table(tuned: Mapping[str, Mapping[str, Any]]) -> pandas.DataFrame:
    """What was tried on healthy scans for settings that are found there.

    Parameters
    ----------
    tuned : title -> what its tuning wrote: ``settings`` (the choice), ``criterion``, ``table``.

    Returns
    -------
    table : approach, setting, value, criterion, result (NaN where the restoration diverged), chosen
        (bool).
    """
    rows = []
    for title, record in tuned.items():
        criterion = record["criterion"]
        for row in record["table"]:
            # Settings may have been tried one by one.
            for setting in [one for one in record["settings"] if one in row]:
                chosen = row[setting] == record["settings"][setting]
                rows.append([title, setting, row[setting], criterion, row[criterion], chosen])
    columns = ["approach", "setting", "value", "criterion", "result", "chosen"]
    return pandas.DataFrame(rows, columns=columns).astype({"result": float})


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
