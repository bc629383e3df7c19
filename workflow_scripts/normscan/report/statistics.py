"""What was measured per patient, with its uncertainty, as one table of a report."""

from __future__ import annotations

import math
from typing import cast

import pandas

from normscan.evaluation.metrics import ORACLE, is_oracle
from normscan.evaluation.significance import against
from normscan.figures.labels import metric_label
from normscan.report.numbers import difference, number, plus_minus
from normscan.report.verdicts import of_measure

MEASURES = {
    "auprc": "AUPRC per patient",
    "dice": "Dice",
    "lesion_recall": "lesions found",
    "false_positives": "false positives per scan",
    "volume_error": "volume error (share)",
    "box_precision": "boxes that match a lesion's",
    "box_recall": "lesions' boxes matched",
    "box_iou": "overlap of matched boxes",
}
DIFFERENCES = {
    "auprc": "difference of AUPRC to the baseline",
    "dice": "difference of Dice to the baseline",
}


def patient_table(
    patients: pandas.DataFrame, tests: pandas.DataFrame, baseline: str = ""
) -> pandas.DataFrame:
    """One row per approach: mean over patients, 95 % interval, spread over seeds; tests.

    Parameters
    ----------
    patients : of ``evaluation.study.patient_statistics``, of one cohort.
    tests : paired tests on this cohort (``evaluation.study.comparisons``).
    baseline : the approach that all others are tested against; "": none.
    """
    order = patients[patients["metric"] == "auprc"].sort_values("mean", ascending=False)
    names = list(dict.fromkeys([*order["approach"], *patients["approach"]]))
    rows = []
    for name in names:
        own = patients[patients["approach"] == name].set_index("metric")
        row = {"approach": name}
        for measure, label in MEASURES.items():
            row[label] = _interval(own.loc[measure]) if measure in own.index else "n/a"
        if baseline:
            for measure, label in DIFFERENCES.items():
                row[label] = _tested(of_measure(tests, measure), name, baseline)
        rows.append(row)
    return pandas.DataFrame(rows)


def class_table(classes: pandas.DataFrame) -> pandas.DataFrame:
    """One row per class of lesions and approach, one column per measure; oracles say so.

    Parameters
    ----------
    classes : of ``evaluation.classes.class_table``, of one cohort.
    """
    rows = []
    for key, own in classes.groupby(["class", "approach"], sort=False):
        name, approach = cast("tuple[str, str]", key)
        row = {"class": name, "approach": approach, "patients": f"{own['patients'].iloc[0]:g}"}
        for _, one in own.iterrows():
            oracle = f" ({ORACLE})" if is_oracle(one["threshold_rule"]) else ""
            row[metric_label(one["metric"]) + oracle] = (
                f"{number(one['mean'])} {plus_minus(one['std'])}".rstrip()
            )
        rows.append(row)
    return pandas.DataFrame(rows)


def _interval(entry) -> str:
    """``0.41 [0.30, 0.52], seeds ± 0.02``."""
    if not math.isfinite(entry["mean"]):
        return "n/a"
    text = number(entry["mean"])
    if math.isfinite(entry["low"]):
        text += f" [{number(entry['low'])}, {number(entry['high'])}]"
    if spread := plus_minus(entry["seeds_std"]):
        text += f", seeds {spread}"
    return text


def _tested(tests: pandas.DataFrame, name: str, baseline: str) -> str:
    """Mean difference to the baseline with its interval and its corrected p value."""
    if name == baseline:
        return "baseline"
    entry = against(tests, name, baseline)
    if entry is None or not math.isfinite(entry["difference"]):
        return "n/a"
    found = difference(entry["difference"], entry["low"], entry["high"])
    return f"{found} (p\u00a0=\u00a0{entry['p_holm']:.2g})"
