"""False positives that a threshold was to keep, and those on healthy scans that it never saw.

Hosts of synthetic cohorts are such scans: no model was trained or stopped on them. Their voxels
outside of the anomalies count; close to one, scores may be higher by the median and by what was
pushed aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas

from normscan.evaluation.significance import bootstrap_interval
from normscan.postprocessing.histograms import ScoreHistogram

COLUMNS = ["approach", "rule", "promised", "exceeding", "subjects", "on_validation", "left_out"]
COLUMNS += ["hosts", "realised", "low", "high", "hosts_above"]

Hosts = Mapping[tuple[str, str, str], Sequence[ScoreHistogram]]
Points = Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]]


def promised_rate(kind: str, settings: Mapping[str, Any]) -> float | None:
    """The share of healthy voxels that a rule is to leave above its threshold; None: no limit."""
    if "percentile" in settings:
        return 1 - settings["percentile"] / 100
    return settings.get("rate")


def rate_table(
    hosts: Hosts, points: Points, priors: Mapping[str, str], rules: Sequence[Mapping[str, Any]]
) -> pandas.DataFrame:
    """Rates of every approach at every rule with a limit, over hosts; of each the mean over seeds.

    Parameters
    ----------
    hosts : (approach, seed, synthetic cohort) -> filtered scores of each of its hosts.
    points : (approach, seed) -> prior -> rule -> its record (``thresholds.json``).
    priors : synthetic cohort -> sign prior.
    rules : ``label``, ``kind`` and ``settings`` of each.

    Returns
    -------
    table : :data:`COLUMNS`. ``promised``: the limit, for a rule that promises nothing for new scans
        that of its own; ``exceeding``: the share of subjects that may be above it (NaN: the limit
        is on the mean); ``on_validation``: rate on the scans it was found on, ``left_out``: with
        each of their subjects left out in turn; ``realised``: mean over hosts with its 95 %
        interval, ``hosts_above`` the share of hosts above the limit.
    """
    rows = []
    for approach in dict.fromkeys(name for name, _, _ in hosts):
        for rule in rules:
            limit = promised_rate(rule["kind"], rule["settings"])
            if limit is None:
                continue
            found, records = _rates(approach, rule["label"], hosts, points, priors)
            if not records:
                continue
            low, high = bootstrap_interval(found)
            exceeding = rule["settings"].get("exceeding")
            row = [approach, rule["label"], limit, np.nan if exceeding is None else exceeding]
            row += [_mean(records, "subjects"), _mean(records, "healthy_false_positive_rate")]
            row += [_mean(records, "realised"), len(found), found.mean() if len(found) else np.nan]
            # Rounding of limits such as 1 - 98 / 100 is no excess.
            above = float((found > limit * (1 + 1e-6)).mean()) if len(found) else np.nan
            rows.append([*row, low, high, above])
    return pandas.DataFrame(rows, columns=COLUMNS)


def _rates(
    approach: str, rule: str, hosts: Hosts, points: Points, priors: Mapping[str, str]
) -> tuple[np.ndarray, list[Mapping[str, Any]]]:
    """Rate of each host of all cohorts (mean over seeds), and the records of the thresholds."""
    by_cohort: dict[str, list[np.ndarray]] = {}
    records = []
    for (name, seed, cohort), histograms in hosts.items():
        record = points.get((name, seed), {}).get(priors[cohort], {}).get(rule, {})
        if name != approach or record.get("threshold") is None:
            continue
        rates = [one.exceeding(record["threshold"]) for one in histograms]
        by_cohort.setdefault(cohort, []).append(np.array(rates))
        records.append(record)
    means = [np.mean(seeds, axis=0) for seeds in by_cohort.values()]
    found = np.concatenate(means) if means else np.zeros(0)
    return found[np.isfinite(found)], records


def _mean(records: Sequence[Mapping[str, Any]], key: str) -> float:
    """Mean of what records have under a key; NaN where none has anything."""
    known = [one[key] for one in records if one.get(key) is not None]
    return float(np.mean(known)) if known else float("nan")
