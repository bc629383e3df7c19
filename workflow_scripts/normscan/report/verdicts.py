"""Models against the training-free baseline: what may be said, and in which words.

"Beats" is said only when the AUPRC is higher and two things agree over patients: a paired test,
corrected for multiple comparison with all pairs of approaches of the protocol
(``evaluation.study.comparisons``), and the 95 % interval of the mean difference, which must lie
above 0 (paired bootstrap; values of seeds are averaged first). Otherwise the reason is said: no
significant difference, too few patients to decide, or no test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from normscan.evaluation.significance import LEVEL as INTERVAL
from normscan.evaluation.significance import (
    against,
    fewest_patients,
    most_coverage,
    smallest_p,
)
from normscan.evaluation.study import strongest
from normscan.report.numbers import count, difference, listing, number, plus_minus

if TYPE_CHECKING:
    import pandas

    from normscan.report.leaderboard import Cell, Row

LEVEL = 0.05
BASELINE, ANOTHER = "baseline", "another baseline"
BEATS = "beats the baseline"
BELOW = "does not beat the baseline"
CLOSE = "within the spread over seeds"
UNSURE = "no significant difference"
MIXED = "voxels and patients disagree"
FEW = "too few patients to decide"
UNTESTED = "not tested over patients"
UNSCORED = "not scored"
ONLY_SLICES = "scores slices only"


@dataclass(frozen=True)
class Tested:
    """A paired test of a model against the baseline.

    Attributes
    ----------
    difference : mean over patients of the difference in AUPRC, model minus baseline.
    p : after correction over ``tests`` pairs of approaches.
    patients : how many both were scored on.
    low, high : 95 % interval of the difference.
    dice : the same difference of Dice at the first threshold rule, with its interval: (difference,
        low, high); None: not known.
    """

    difference: float
    p: float
    patients: int
    tests: int
    low: float = float("nan")
    high: float = float("nan")
    dice: tuple[float, float, float] | None = None


def judge(
    rows: Sequence[Row],
    baselines: Mapping[str, Sequence[str]],
    tests: Mapping[str, pandas.DataFrame],
    chosen: Mapping[str, str] | None = None,
) -> None:
    """Fill in ``baseline``, ``delta``, ``test`` and ``verdict`` of all rows.

    Parameters
    ----------
    baselines : protocol -> its baselines (``protocol/approach`` or ``approach``).
        All others of the protocol are compared with the strongest of them on the scans scored here.
    chosen : protocol -> the one of them that was chosen without labels, which then is compared with
        in place of the strongest.
    tests : protocol -> paired tests of AUPRC (and Dice) between its approaches, by title, on this
        cohort; told apart by the column ``metric``, without it all of AUPRC.
    """
    for protocol in dict.fromkeys(row.protocol for row in rows):
        own = [row for row in rows if row.protocol == protocol]
        free = {name.rpartition("/")[2] for name in baselines.get(protocol, ())}
        free = [row for row in own if row.approach.rpartition("/")[2] in free]
        areas = {row.approach: row.cells[0].mean for row in free}
        name = strongest(areas, areas)
        told = f"{protocol}/{(chosen or {}).get(protocol, '')}"
        if np.isfinite(areas.get(told, np.nan)):
            name = told
        reference = next((row for row in free if row.approach == name), None)
        if reference is None:
            continue
        reference.strongest_of = len(free)
        reference.label_free = name == told
        for row in own:
            row.baseline = row is reference
            row.delta = row.cells[0].mean - reference.cells[0].mean
            row.test = _tested(tests.get(protocol), row.title, reference.title)
            row.verdict = ANOTHER if row in free else _verdict(row, reference)
        reference.verdict = BASELINE


def _tested(tests: pandas.DataFrame | None, name: str, baseline: str) -> Tested | None:
    if tests is None:
        return None
    areas = of_measure(tests, "auprc")
    one = against(areas, name, baseline)
    if one is None or not np.isfinite(one["p_holm"]):
        return None
    dice = against(of_measure(tests, "dice"), name, baseline) if "metric" in tests else None
    known = dice is not None and np.isfinite(dice["difference"])
    return Tested(
        one["difference"],
        one["p_holm"],
        int(one["patients"]),
        int(areas["p_holm"].notna().sum()),
        one["low"],
        one["high"],
        (dice["difference"], dice["low"], dice["high"]) if dice is not None and known else None,
    )


def of_measure(tests: pandas.DataFrame, measure: str) -> pandas.DataFrame:
    """The rows of one measure; all where the table does not tell them apart."""
    return tests[tests["metric"] == measure] if "metric" in tests else tests


def _verdict(row: Row, reference: Row) -> str:
    test = row.test
    if not np.isfinite(row.delta):
        return UNSCORED
    if test is not None and test.p < LEVEL and test.difference * row.delta < 0:
        return MIXED
    if row.delta <= 0:
        return BELOW
    if test is None:
        return UNTESTED
    if test.p >= LEVEL:
        return FEW if smallest_p(test.patients, test.tests) >= LEVEL else UNSURE
    if not test.low > 0:
        return UNSURE
    spread = np.hypot(*np.nan_to_num([row.cells[0].seeds_std, reference.cells[0].seeds_std]))
    return CLOSE if row.delta <= spread else BEATS


def sentences(rows: Sequence[Row]) -> list[str]:
    """The message of a leaderboard (rows sorted, best first) in words."""
    scored = [row for row in rows if np.isfinite(row.cells[0].mean)]
    if not scored:
        return ["No approach has an AUPRC on this cohort."]
    several = len({row.protocol for row in rows}) > 1
    said = [f"Best by AUPRC: {_name(scored[0], several)} with {_value(scored[0].cells[0])}."]
    baselines = [row for row in scored if row.baseline]
    if not baselines:
        return [
            *said,
            "No training-free baseline was run: without it nobody can tell whether "
            "training a model was worth it.",
        ]
    for reference in baselines:
        own = [row for row in scored if row.protocol == reference.protocol]
        others = [row for row in own if row.verdict not in (BASELINE, ANOTHER)]
        said.append(_against(reference, others, several))
        tested = next((row for row in others if row.test is not None), None)
        said += [_over_patients(tested, several)] if tested is not None else []
    return said


def _over_patients(row: Row, several: bool) -> str:
    """How far the first of the models is from the baseline, patient by patient."""
    test = row.test
    assert test is not None
    text = f"AUPRC {difference(test.difference, test.low, test.high)}"
    if test.dice is not None:
        text += f", Dice {difference(*test.dice)}"
    said = "mean difference with its 95 % interval"
    if (covered := most_coverage(test.patients)) < INTERVAL:
        said = (
            f"mean difference, and how far resampling {count(test.patients, 'patient')} reaches: "
            f"at most a {100 * covered:.0f} % interval"
        )
    return (
        f"Over {count(test.patients, 'patient')}, {_name(row, several)} less the baseline: {text} "
        f"({said})."
    )


def _against(reference: Row, others: list[Row], several: bool) -> str:
    start = f"The training-free baseline {_name(reference, several)} reaches"
    if reference.strongest_of > 1 and reference.label_free:
        start = (
            f"Of {reference.strongest_of} training-free baselines, the one chosen without labels, "
            f"on synthetic anomalies, is {_name(reference, several)} with"
        )
    elif reference.strongest_of > 1:
        start = (
            f"The strongest of {reference.strongest_of} training-free baselines, picked on the "
            f"scans scored here, is {_name(reference, several)} with"
        )
    start += f" {_value(reference.cells[0])}"
    if not others:
        return f"{start}; no other approach was scored."
    by_verdict: dict[str, list[Row]] = {}
    for row in others:
        by_verdict.setdefault(row.verdict, []).append(row)
    if set(by_verdict) == {BELOW}:
        return f"{start}: no model beats it."
    if set(by_verdict) == {BEATS}:
        return f"{start}; {'every model beats' if len(others) > 1 else 'the model beats'} it."
    ahead = len(by_verdict.pop(BEATS, ()))
    lead = "no model clearly beats it"
    if ahead:
        lead = f"{ahead} of {count(len(others), 'model')} beat it"
    elif by_verdict.keys() <= {BELOW, FEW, UNTESTED}:
        lead = "whether a model beats it cannot be decided"
    parts = [
        phrase(listing(_name(row, several) for row in by_verdict[verdict]), by_verdict[verdict])
        for verdict, phrase in _PHRASES.items()
        if verdict in by_verdict
    ]
    return f"{start}; {lead}: " + "; ".join(parts) + "."


def _too_few(names: str, rows: list[Row]) -> str:
    test = max((row.test for row in rows if row.test), key=lambda one: one.patients)
    return (
        f"{count(test.patients, 'patient')} cannot decide about {names} "
        f"({count(test.tests, 'comparison')}: at least {fewest_patients(test.tests, LEVEL)} needed)"
    )


# In the order in which they are said.
_PHRASES = {
    BELOW: lambda names, rows: f"{names} {'does' if len(rows) == 1 else 'do'} not beat it",
    CLOSE: lambda names, rows: (
        f"{names} {'leads' if len(rows) == 1 else 'lead'} by no more than the spread over seeds"
    ),
    UNSURE: lambda names, rows: (
        f"the {'lead of' if len(rows) == 1 else 'leads of'} {names} "
        f"{'is' if len(rows) == 1 else 'are'} not significant over patients"
    ),
    MIXED: lambda names, rows: (
        f"all voxels together and patients one by one disagree about {names}"
    ),
    FEW: _too_few,
    UNTESTED: lambda names, rows: (
        f"{names} {'was' if len(rows) == 1 else 'were'} not tested over patients"
    ),
}


def _name(row: Row, several: bool) -> str:
    return f"{row.title} ({row.protocol})" if several and row.protocol else row.title


def _value(cell: Cell) -> str:
    return f"{number(cell.mean)} {plus_minus(cell.seeds_std)}".rstrip()
