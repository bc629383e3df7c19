"""From tidy metric rows to a leaderboard, and what it says of the training-free baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from normscan.errors import NormscanError
from normscan.evaluation.metrics import COLUMNS, ORACLE, SLICE, is_oracle
from normscan.figures.labels import rule_label
from normscan.report.numbers import count, listing
from normscan.report.verdicts import ONLY_SLICES, Tested, judge, sentences

_SAME = {"dice_mean": "dice", "best_possible_dice": "best_dice"}
_ONLY = "not given for maps that are no residuals of a reconstruction"
_FIXED = [
    ("auprc", "AUPRC", "area under the precision-recall curve", "higher"),
    ("auroc", "AUROC", "area under the ROC curve", "higher"),
    ("l1_normal", "L1 normal", f"mean absolute residual on normal voxels; {_ONLY}", ""),
    ("l1_anomalous", "L1 anomalous", f"mean absolute residual on anomalous voxels; {_ONLY}", ""),
    ("chi_square", "χ²", "distance of the map's histograms, normal against anomalous", "higher"),
]


@dataclass(frozen=True)
class Column:
    """One metric under one threshold rule."""

    metric: str
    rule: str
    label: str
    note: str
    better: str  # "higher" or "" (no direction)
    of_slices: bool = False

    @property
    def oracle(self) -> bool:
        """Found on the very scans that it is scored on."""
        return is_oracle(self.rule)


@dataclass
class Cell:
    """Mean over seeds, spread over seeds and, for a score per patient, over patients.

    ``note`` says why there is no value.
    """

    mean: float = float("nan")
    seeds_std: float = float("nan")
    patients_std: float = float("nan")
    best: bool = False
    note: str = ""


@dataclass
class Row:
    """One approach."""

    approach: str
    title: str
    protocol: str
    seeds: int
    cells: list[Cell]
    baseline: bool = False
    strongest_of: int = 0
    label_free: bool = False
    delta: float = float("nan")
    test: Tested | None = None
    verdict: str = ""


@dataclass
class Board:
    """A table sorted by AUPRC, best first, and its message in words."""

    columns: list[Column]
    rows: list[Row]
    sentences: list[str] = field(default_factory=list)
    patients: int = 0

    @property
    def best(self) -> Row | None:
        """The first row that has an AUPRC."""
        return next((row for row in self.rows if np.isfinite(row.cells[0].mean)), None)


def leaderboard(
    rows,
    *,
    titles: Mapping[str, str] | None = None,
    baseline: str | Mapping[str, str | Sequence[str]] = "",
    tests: Mapping[str, Any] | None = None,
    chosen: Mapping[str, str] | None = None,
    split: str = "test",
) -> Board:
    """Make the leaderboard of one cohort.

    Parameters
    ----------
    rows : pandas table with the columns of ``metrics.tsv``, of one cohort.
    titles : ``protocol/approach`` or ``approach`` -> title.
    baseline : the baseline, or protocol -> one or several; every approach is
        compared with the strongest of its own protocol.
    chosen : protocol -> the baseline that was chosen without labels, instead of the strongest.
    tests : protocol -> paired tests of AUPRC and Dice over patients between its approaches, by
        title (``evaluation.study.comparisons``, of this cohort). Without them no model "beats"
        anything.
    split : rows of this split count.

    Raises
    ------
    NormscanError : a column is missing.
    """
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise NormscanError(f"metrics table lacks the columns {listing(missing)}")
    rows = rows[rows["split"].astype(str) == split].copy()
    rows["value"] = rows["value"].astype(float)
    rows["metric"] = rows["metric"].replace(_SAME)
    rows["threshold_rule"] = rows["threshold_rule"].fillna("none").astype(str)
    columns = _columns(rows[rows["level"] != SLICE]) + _slice_columns(rows)
    made = [
        _row(name, own, columns, titles or {}) for name, own in _by_approach(rows, columns).items()
    ]
    made.sort(key=lambda row: (-np.nan_to_num(row.cells[0].mean, nan=-1.0), row.approach))
    _mark_best(columns, made)
    judge(made, _by_protocol(made, baseline), tests or {}, chosen)
    _judge_slices(columns, made)
    subjects = rows.loc[rows["level"] == "subject", "subject"].nunique()
    return Board(columns, made, sentences(made), int(subjects))


def _by_approach(rows, columns: list[Column]) -> dict:
    """Approach -> its rows that any column shows, in the order of the table.

    Scans have most of the rows, and no column is of them.
    """
    shown = rows[
        rows["metric"].isin({column.metric for column in columns})
        & rows["level"].isin(("cohort", "subject", SLICE))
    ]
    found = dict(tuple(shown.groupby("approach", sort=False)))
    return {name: found.get(name, shown[:0]) for name in dict.fromkeys(rows["approach"])}


def _columns(rows) -> list[Column]:
    there = set(zip(rows["metric"], rows["threshold_rule"]))
    fixed = [Column(metric, "none", label, note, better) for metric, label, note, better in _FIXED]
    first, later = fixed[:2], [column for column in fixed[2:] if (column.metric, "none") in there]
    oracle = [
        Column(
            metric,
            ORACLE,
            "best possible Dice (oracle)",
            "the threshold is chosen on the scans scored here: a bound, not a result",
            "higher",
        )
        for metric in ("best_dice", "dice")
        if (metric, ORACLE) in there
    ][:1]
    rules = [
        rule
        for metric, rule in dict.fromkeys(zip(rows["metric"], rows["threshold_rule"]))
        if metric == "dice" and rule not in (ORACLE, "none")
    ]
    dice = [
        Column("dice", rule, f"Dice: {rule_label(rule)}", "mean over patients", "higher")
        for rule in rules
    ]
    return [*first, *dice, *oracle, *later]


def _slice_columns(rows) -> list[Column]:
    """Areas over whole slices, where any approach scores them."""
    if SLICE not in set(rows["level"]):
        return []
    note = "of slices: one with lesion voxels against one without"
    return [
        Column(metric, "none", f"{label} slices", f"{area} {note}", "higher", of_slices=True)
        for metric, label, area, _ in _FIXED[:2]
    ]


def _judge_slices(columns: list[Column], rows: list[Row]) -> None:
    """Approaches without maps are not compared by voxels; that is no failure of theirs."""
    places = [place for place, column in enumerate(columns) if column.of_slices]
    for row in rows:
        scored = any(np.isfinite(row.cells[place].mean) for place in places)
        if scored and not np.isfinite(row.cells[0].mean):
            row.verdict = ONLY_SLICES


def _row(name: str, rows, columns: list[Column], titles: Mapping[str, str]) -> Row:
    protocol, _, short = str(name).rpartition("/")
    title = titles.get(name) or titles.get(short) or short
    seeds = rows["seed"].nunique()
    by_column = dict(tuple(rows.groupby(["metric", "threshold_rule"])))
    cells = [
        _cell(by_column.get((column.metric, column.rule), rows[:0]), column) for column in columns
    ]
    return Row(str(name), title, protocol, int(seeds), cells)


def _cell(of, column: Column) -> Cell:
    """A cell of the rows of one metric at one rule."""
    if column.of_slices:
        of = of[of["level"] == SLICE].assign(level="cohort")
    cohort, subjects = of[of["level"] == "cohort"], of[of["level"] == "subject"]
    # Dice per patient is the mean over patients; one threshold for all makes the oracle's.
    per_patient = column.metric == "dice" and not column.oracle and len(subjects) > 0
    chosen = subjects if per_patient or cohort.empty else cohort
    if chosen.empty:
        return Cell(note="no residual" if column.metric.startswith("l1_") else "")
    groups = chosen.groupby("seed")["value"]
    means = groups.mean().to_numpy(float)
    # One patient has no spread.
    several = chosen is subjects and groups.count().max() > 1
    spread = float(np.nanmean(groups.std(ddof=0))) if several else float("nan")
    known = means[np.isfinite(means)]
    if not known.size:
        return Cell()
    mean = float(known.mean())
    std = float(known.std(ddof=1)) if known.size > 1 else float("nan")
    return Cell(mean, 0.0 if std < 1e-9 * abs(mean) else std, spread)


def _mark_best(columns: list[Column], rows: list[Row]) -> None:
    for place, column in enumerate(columns):
        cells = [row.cells[place] for row in rows if np.isfinite(row.cells[place].mean)]
        if column.better and len(cells) > 1:
            top = max(cell.mean for cell in cells)
            for cell in cells:
                cell.best = cell.mean == top


def _by_protocol(
    rows: list[Row], baseline: str | Mapping[str, str | Sequence[str]]
) -> dict[str, list[str]]:
    """protocol -> its baselines."""
    found = {}
    for protocol in dict.fromkeys(row.protocol for row in rows):
        names = baseline if isinstance(baseline, str) else baseline.get(protocol, ())
        found[protocol] = [names] if isinstance(names, str) else list(names)
    return found


def prior_text(prior: str, unsigned: Sequence[str] = ()) -> str:
    """The sign prior in words, and the approaches (titles) whose maps have no sign to go by."""
    said = {
        "hyperintense": "hyperintense: only voxels brighter than expected count",
        "hypointense": "hypointense: only voxels darker than expected count",
        "none": "none: deviations in both directions count",
    }.get(prior, prior or "not stated")
    if unsigned and prior in ("hyperintense", "hypointense"):
        said += f" (all voxels of {listing(dict.fromkeys(unsigned))}: maps without a sign)"
    return said


def postprocessing_text(settings: Any) -> str:
    """Post-processing in words; a text is kept as it is."""
    if isinstance(settings, str) or not settings:
        return settings or "not stated"
    known = {
        "erosion": lambda n: f"brain mask eroded by {count(n, 'voxel')}" if n else "",
        "median": lambda n: f"3D median filter {n}×{n}×{n}" if n > 1 else "no median filter",
        "minimum_voxels": lambda n: f"components below {n} voxels dropped" if n > 1 else "",
        "prior": lambda sign: f"sign prior of all cohorts: {sign}",
    }
    parts = [
        known[key](value) if key in known else f"{key.replace('_', ' ')}: {value}"
        for key, value in settings.items()
    ]
    return ", ".join(filter(None, parts))
