"""Choosing without labels: scores on synthetic anomalies, and how good their choice is.

Anomalies that were pasted on held-out healthy scans are known without anybody's labels. Every
approach has a score on them, its AUPRC; the one with the largest is chosen. On cohorts of patients
with lesion masks one sees what the choice was worth: its regret is how much the best approach,
which only labels tell, is ahead. Regret says little alone, so that of an approach drawn at random
stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas

from normscan.evaluation.compared import Compared
from normscan.evaluation.metrics import NO_THRESHOLD, ORACLE
from normscan.evaluation.resampled import resampling_weights, weighted_scores
from normscan.evaluation.study import rank_correlation, strongest
from normscan.postprocessing.histograms import ScoreHistogram
from normscan.postprocessing.pooling import same_prior

SAMPLES = 500
LEVEL = 0.95
# Measures of pooled voxels, and the rule under which metrics.tsv has them.
MEASURES = {"auprc": NO_THRESHOLD, "best_dice": ORACLE}
# Choices go by this one.
CRITERION = "auprc"
ALL_SIZES = "all"
# Patients by the volume of all their lesions (ml): smallest, largest.
SIZES = {"below 1 ml": (0.0, 1.0), "1 to 10 ml": (1.0, 10.0), "above 10 ml": (10.0, np.inf)}
SCORE_COLUMNS = ["prior", "cohorts", "hosts", "approach", "baseline", "chosen", "chosen_share"]
SCORE_COLUMNS += [f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")]
REGRET_COLUMNS = ["cohort", "choice", "measure", "without_labels", "chosen", "value", "oracle"]
REGRET_COLUMNS += ["oracle_value", "regret", "random_regret", "candidates"]
RANK_COLUMNS = ["cohort", "size", "patients", "approaches", "rho", "p", "hosts", "rho_same_size"]


@dataclass
class Scores:
    """Label-free scores of the approaches under one sign prior.

    Attributes
    ----------
    cohorts : the synthetic cohorts that they are means over.
    hosts : how many subjects these have together.
    drawn : measure -> approach -> (1 + samples,): of all hosts, then of resampled ones.
    """

    prior: str
    cohorts: list[str]
    hosts: int
    drawn: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    def values(self, measure: str = CRITERION) -> dict[str, float]:
        """Approach -> score."""
        return {name: float(one[0]) for name, one in self.drawn[measure].items()}

    def chosen(self, among: Sequence[str]) -> str:
        """The approach with the largest score; \"\" when none has one."""
        return strongest(self.values(), among)

    def interval(self, measure: str, name: str) -> tuple[float, float]:
        """Percentile bootstrap interval over hosts; NaN for fewer than two."""
        values = self.drawn[measure][name][1:]
        values = values[np.isfinite(values)]
        if self.hosts < 2 or not len(values):
            return float("nan"), float("nan")
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)

    def chosen_shares(self) -> dict[str, float]:
        """Approach -> in which share of the resamplings it would be chosen."""
        names = [name for name, one in self.drawn[CRITERION].items() if np.isfinite(one[0])]
        if not names or self.hosts < 2:
            return {}
        table = np.array([self.drawn[CRITERION][name][1:] for name in names])
        table = table[:, np.isfinite(table).all(axis=0)]
        counts = np.bincount(table.argmax(axis=0), minlength=len(names))
        return dict(zip(names, counts / max(table.shape[1], 1)))


Histograms = Mapping[tuple[str, str, str], Sequence[ScoreHistogram]]


def label_free_scores(
    histograms: Histograms,
    cohorts: Sequence[str],
    priors: Mapping[str, str],
    prior: str,
    samples: int = SAMPLES,
) -> Scores:
    """Scores of all approaches for one sign prior: means over synthetic cohorts and over seeds.

    Hosts are what is drawn anew, in each cohort for itself and the same for all approaches.

    Parameters
    ----------
    histograms : (approach, seed, synthetic cohort) -> filtered scores of each of its hosts.
    cohorts : the synthetic cohorts that may choose; :func:`pooling.same_prior` says which do.
    priors : cohort -> sign prior.
    """
    chosen = same_prior(cohorts, priors, prior)
    found: dict[str, dict[str, dict[str, list[np.ndarray]]]] = {one: {} for one in MEASURES}
    for (approach, _, cohort), hosts in histograms.items():
        if cohort not in chosen or not hosts:
            continue
        values = weighted_scores(hosts, resampling_weights(len(hosts), samples))
        for measure, drawn in values.items():
            found[measure].setdefault(approach, {}).setdefault(cohort, []).append(drawn)
    # Approaches that score slices only have no hosts here.
    counts: dict[str, int] = {}
    for (_, _, cohort), hosts in histograms.items():
        counts[cohort] = max(counts.get(cohort, 0), len(hosts))
    needed = {one for one in chosen if counts.get(one)}
    scores = Scores(prior, chosen, sum(counts[one] for one in needed))
    for measure, of in found.items():
        scores.drawn[measure] = {
            # A cohort that an approach was not scored on leaves it without a score.
            approach: np.mean([np.mean(seeds, axis=0) for seeds in own.values()], axis=0)
            if set(own) == needed
            else np.full(1 + samples, np.nan)
            for approach, own in of.items()
        }
    return scores


def score_table(scores: Sequence[Scores], baselines: Sequence[str]) -> pandas.DataFrame:
    """What the approaches reach on synthetic anomalies, best first, with 95 % intervals over hosts.

    Returns
    -------
    table : :data:`SCORE_COLUMNS`; ``chosen`` is ``approach``, ``baseline`` or both;
        ``chosen_share`` the share of resampled sets of hosts on which it has the largest score.
    """
    rows = []
    for one in scores:
        values = one.values()
        best, free, shares = one.chosen(list(values)), one.chosen(baselines), one.chosen_shares()
        for name in sorted(values, key=lambda name: -np.nan_to_num(values[name], nan=-1)):
            words = [w for w, of in (("approach", best), ("baseline", free)) if of == name]
            row: list[Any] = [one.prior, ", ".join(one.cohorts), one.hosts, name, name in baselines]
            row += [", ".join(words), shares.get(name, float("nan"))]
            for measure in MEASURES:
                row += [one.values(measure)[name], *one.interval(measure, name)]
            rows.append(row)
    return pandas.DataFrame(rows, columns=SCORE_COLUMNS)


def regret_table(
    of: Compared, judged: Sequence[str], scores: Mapping[str, Scores], rules: Mapping[str, bool]
) -> pandas.DataFrame:
    """What was chosen for each cohort with truth, against the best that labels could have told.

    Parameters
    ----------
    of : the metrics of a protocol; approaches by title.
    judged : cohorts with truth.
    scores : cohort -> label-free scores for its prior.
    rules : threshold rule -> whether it needs no labels.

    Returns
    -------
    table : :data:`REGRET_COLUMNS`. ``choice`` is ``approach``, ``baseline`` (of those that need no
        training) or ``threshold`` (of the chosen approach, for every rule; its ``oracle_value`` is
        the best possible Dice, the measure ``dice`` that of all voxels of the test patients).
        ``random_regret`` is the mean regret over all candidates.
    """
    rows: list[list[Any]] = []
    free = [title for title in of.whole if of.by_title[title]["baseline"]]
    for cohort in judged:
        own = scores[cohort]
        chosen = own.chosen(of.whole)
        for choice, names in (("approach", of.whole), ("baseline", free)):
            taken = own.chosen(names)
            for measure, rule in MEASURES.items():
                values = of.pooled(measure, rule, cohort)
                values = {name: values[name] for name in names if name in values}
                if taken in values:
                    rows.append([cohort, choice, measure, True, taken, *_against(values, taken)])
        best = of.pooled("best_dice", ORACLE, cohort).get(chosen, float("nan"))
        for rule, free_of_labels in rules.items():
            value = of.pooled("dice", rule, cohort).get(chosen, float("nan"))
            if np.isfinite(value):
                row = [cohort, "threshold", "dice", free_of_labels, rule, value]
                rows.append([*row, "best possible", best, best - value, float("nan"), len(rules)])
    return pandas.DataFrame(rows, columns=REGRET_COLUMNS)


def _against(values: Mapping[str, float], taken: str) -> list[Any]:
    """Value of what was taken, the best and its value, regret, mean regret, candidates."""
    best = strongest(values, values)
    top = values[best]
    spread = float(np.mean([top - one for one in values.values()]))
    return [values[taken], best, top, top - values[taken], spread, len(values)]


def rank_table(
    of: Compared, judged: Sequence[str], scores: Mapping[str, Scores]
) -> pandas.DataFrame:
    """Spearman correlation over approaches of the label-free score and AUPRC with truth.

    Over all test patients (pooled voxels), and by the volume of a patient's lesions: there the mean
    AUPRC of these patients counts, and beside it stands the correlation with the mean AUPRC of
    hosts whose anomalies are as large (``rho_same_size``).

    Returns
    -------
    table : :data:`RANK_COLUMNS`; sizes without patients are left out, correlations over fewer than
        three approaches are NaN.
    """
    rows = []
    for cohort in judged:
        own = scores[cohort]
        values = {name: one for name, one in own.values().items() if name in of.whole}
        areas = patient_areas(of, [cohort])
        found = rank_correlation(values, of.pooled("auprc", NO_THRESHOLD, cohort))
        patients = areas.index.nunique()
        row = [cohort, ALL_SIZES, patients, found["approaches"], found["rho"], found["p"]]
        rows.append([*row, own.hosts, float("nan")])
        hosts = patient_areas(of, own.cohorts)
        for size, bounds in SIZES.items():
            here, there = _of_size(areas, bounds), _of_size(hosts, bounds)
            if not len(here):
                continue
            truth = here.drop(columns="volume").mean().to_dict()
            same = there.drop(columns="volume").mean().to_dict() if len(there) else {}
            found, alike = rank_correlation(values, truth), rank_correlation(same, truth)
            row = [cohort, size, len(here), found["approaches"], found["rho"], found["p"]]
            rows.append([*row, len(there), alike["rho"]])
    return pandas.DataFrame(rows, columns=RANK_COLUMNS)


def patient_areas(of: Compared, cohorts: Sequence[str]) -> pandas.DataFrame:
    """AUPRC of every test patient by approach (mean over seeds), and ``volume`` of lesions (ml).

    Returns
    -------
    table : (patients, approaches + 1).
    """
    rows = of.metrics[
        of.metrics["cohort"].isin(list(cohorts))
        & (of.metrics["split"] == "test")
        & (of.metrics["level"] == "subject")
    ].assign(patient=lambda table: table["cohort"] + "/" + table["subject"].astype(str))
    areas = rows[(rows["metric"] == "auprc") & rows["approach"].isin(of.whole)]
    table = areas.pivot_table(
        index="patient", columns="approach", values="value", aggfunc="mean", observed=False
    )
    volumes = rows[rows["metric"] == "lesion_volume_ml"].groupby("patient")["value"].mean()
    return table.reindex(columns=of.whole).assign(volume=volumes.reindex(table.index))


def _of_size(table: pandas.DataFrame, bounds: tuple[float, float]) -> pandas.DataFrame:
    low, high = bounds
    return table[(table["volume"] >= low) & (table["volume"] < high)]
