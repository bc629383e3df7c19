"""Choosing without labels: the report's tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas

from normscan.evaluation.selection import ALL_SIZES, MEASURES
from normscan.figures.labels import metric_label, rule_label
from normscan.files import read_json, read_tsv
from normscan.report.numbers import number

INTERVAL = "95 % bootstrap interval over hosts"


def selection(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Tables of every protocol that chose: regret, scores, ranks, rates.

    Parameters
    ----------
    paths : summaries; the tables stand beside them.
    """
    found = []
    for path in paths:
        protocol = read_json(path)["protocol"]
        tables = {name: _beside(path, name) for name in ("", "_scores", "_ranks", "_rates")}
        for name, (title, make, note) in _TABLES.items():
            if len(tables[name]):
                table = make(tables[name])
                entry = {"title": f"{title} ({protocol})", "table": table, "note": note}
                source = str(Path(path).with_name(f"selection{name}.tsv"))
                found.append({**entry, "source": source})
    return found


def chosen_baselines(paths: Iterable[str]) -> dict[str, dict[str, str]]:
    """protocol -> cohort -> the baseline that was chosen without labels."""
    records = [read_json(path) for path in paths]
    return {one["protocol"]: one["baselines"] for one in records}


def sentences(paths: Iterable[str]) -> list[str]:
    """What would have been chosen for each cohort with truth, and what it cost."""
    said = []
    for path in paths:
        protocol, table = read_json(path)["protocol"], _beside(path, "")
        rows = table[(table["choice"] == "approach") & (table["measure"] == "auprc")]
        for _, one in rows.iterrows():
            text = (
                f"On {one['cohort']} ({protocol}), {one['chosen']} would have been chosen without "
                f"labels: AUPRC {number(one['value'])}"
            )
            if one["regret"] <= 0:
                text += f", the best of {int(one['candidates'])} approaches"
            else:
                text += (
                    f", {number(one['regret'])} below the best ({one['oracle']}); an approach "
                    f"drawn at random would be {number(one['random_regret'])} below it on average"
                )
            said.append(text + "." + _operating_point(table, one["cohort"]))
    return said


def _operating_point(table: pandas.DataFrame, cohort: str) -> str:
    """What its best threshold without labels costs; empty where there is none."""
    rows = table[(table["cohort"] == cohort) & (table["choice"] == "threshold")]
    rows = rows[rows["without_labels"].astype(bool) & (rows["chosen"] == "best_synthetic")]
    if not len(rows):
        return ""
    one = rows.iloc[0]
    return (
        f" Its threshold from synthetic anomalies gives a Dice of {number(one['value'])} where "
        f"{number(one['oracle_value'])} is possible."
    )


def _beside(path: str, name: str) -> pandas.DataFrame:
    return read_tsv(Path(path).with_name(f"selection{name}.tsv"))


def _regret(table: pandas.DataFrame) -> pandas.DataFrame:
    threshold = table["choice"] == "threshold"
    return pandas.DataFrame(
        {
            "cohort": table["cohort"],
            "choice of": table["choice"],
            "measure": table["measure"].map(metric_label),
            "without labels": table["without_labels"].astype(bool),
            "chosen": table["chosen"].where(~threshold, table["chosen"].map(rule_label)),
            "value": table["value"].map(number),
            "best": table["oracle"],
            "its value": table["oracle_value"].map(number),
            "regret": table["regret"].map(number),
            "regret at random": table["random_regret"].map(number),
        }
    )


def _scores(table: pandas.DataFrame) -> pandas.DataFrame:
    found = {
        "prior": table["prior"],
        "synthetic cohorts": table["cohorts"],
        "hosts": table["hosts"],
        "approach": table["approach"],
        "chosen": table["chosen"].fillna(""),
        "chosen on resampled hosts": table["chosen_share"].map(_per_cent),
    }
    for measure in MEASURES:
        columns = [table[f"{measure}{end}"] for end in ("", "_low", "_high")]
        found[metric_label(measure)] = [_interval(*one) for one in zip(*columns)]
    return pandas.DataFrame(found)


def _ranks(table: pandas.DataFrame) -> pandas.DataFrame:
    return pandas.DataFrame(
        {
            "cohort": table["cohort"],
            "lesions of a patient": table["size"].where(table["size"] != ALL_SIZES, "all patients"),
            "patients": table["patients"],
            "approaches": table["approaches"],
            "ρ": table["rho"].map(number),
            "p": table["p"].map(number),
            "hosts of that size": table["hosts"],
            "ρ with these alone": table["rho_same_size"].map(number),
        }
    )


def _rates(table: pandas.DataFrame) -> pandas.DataFrame:
    columns = (table["realised"], table["low"], table["high"])
    return pandas.DataFrame(
        {
            "approach": table["approach"],
            "rule": table["rule"].map(rule_label),
            "limit": table["promised"].map(number),
            "subjects that may exceed": table["exceeding"].map(_per_cent),
            "found on subjects": table["subjects"],
            "on these": table["on_validation"].map(number),
            "each left out": table["left_out"].map(number),
            "hosts": table["hosts"],
            "realised on hosts": [_interval(*one) for one in zip(*columns)],
            "hosts above the limit": table["hosts_above"].map(_per_cent),
        }
    )


def _interval(value: float, low: float, high: float) -> str:
    text = number(float(value))
    return f"{text} [{number(low)}, {number(high)}]" if math.isfinite(low) else text


def _per_cent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else "–"


_TABLES: dict[str, tuple[str, Any, str]] = {
    "": (
        "What would have been chosen, and what it cost",
        _regret,
        "Regret: how much better the best candidate is, which only the labels of these patients "
        "tell; at random: the mean over all candidates. Thresholds are those of the chosen "
        "approach, of all voxels of the test patients.",
    ),
    "_scores": (
        "Scores on synthetic anomalies",
        _scores,
        f"Mean over the synthetic cohorts with that prior and over seeds; {INTERVAL}. Chosen by "
        "AUPRC; beside it in how many of the resampled sets of hosts.",
    ),
    "_ranks": (
        "Scores against the truth",
        _ranks,
        "Spearman's correlation over approaches of the score on synthetic anomalies and AUPRC on "
        "patients: all voxels together, or the mean over patients whose lesions have that volume.",
    ),
    "_rates": (
        "False positives on healthy scans, promised and realised",
        _rates,
        "Share of healthy voxels above the threshold. Hosts are healthy scans that nothing was "
        "trained or calibrated on, their voxels outside of the anomalies count. Only a conformal "
        "limit promises anything for new scans.",
    ),
}
