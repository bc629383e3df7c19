"""All approaches of a protocol against each other: which figures are drawn, and their captions."""

from __future__ import annotations

import numpy as np
import pandas

from normscan.evaluation import study
from normscan.evaluation.compared import Compared
from normscan.evaluation.significance import smallest_p
from normscan.figures.bars import metric_bars
from normscan.figures.collection import Figures
from normscan.figures.labels import rule_label
from normscan.figures.matrices import correlation_matrices, significance_matrix
from normscan.figures.study import complexity, domain_shift, training_shares
from normscan.figures.violins import dice_violins


def add_bars(figures: Figures, of: Compared) -> None:
    """AUPRC of all approaches on all cohorts (Fig. 5)."""
    areas = {cohort: of.of_whole("auprc", cohort) for cohort in of.cohorts}
    if not any(areas.values()):
        return
    baselines = {cohort: of.baseline(cohort) for cohort in of.cohorts}
    line = " The dashed line is the strongest training-free baseline."
    figures.add(
        metric_bars(areas, baselines=baselines, looks=figures.looks),
        "auprc",
        "Study",
        "AUPRC of all approaches",
        "Voxels of all test patients together; mean over seeds with standard deviation."
        + (line if any(baselines.values()) else ""),
    )


def add_violins(figures: Figures, of: Compared, rule: str) -> None:
    """Dice per patient of all approaches on each cohort, where any voxels are detected."""
    for cohort in of.cohorts:
        found = study.patient_values(of.metrics, cohort, "dice", rule)
        values = {title: found[title].to_numpy(float) for title in of.whole if title in found}
        if not values:
            continue
        figures.add(
            dice_violins(values, title=cohort, looks=figures.looks),
            f"violins_{cohort}",
            "Study",
            f"{cohort}: Dice per patient",
            f"At the rule: {rule_label(rule)}. White dot: median; thick bar: quartiles; thin line: "
            "patients within one and a half interquartile ranges; points: patients (means over "
            "their scans and over seeds).",
        )


def add_shares(figures: Figures, of: Compared) -> None:
    """Training on parts of the healthy subjects (Fig. 8)."""
    if len({one["share"] for one in of.by_title.values()}) < 2:
        return
    shares: dict[str, dict] = {}
    for cohort in of.cohorts:
        found: dict[str, dict[float, tuple[float, float]]] = {}
        for title, value in of.values("auprc", cohort).items():
            one = of.by_title[title]
            if not one["training_free"]:
                found.setdefault(one["name"], {})[one["share"]] = value
        shares[cohort] = {name: points for name, points in found.items() if len(points) > 1}
    figures.add(
        training_shares(shares, looks=figures.looks),
        "training_shares",
        "Study",
        "AUPRC and the number of training subjects",
        "Smaller shares are contained in larger ones; validation subjects are the same.",
    )


def add_shift(figures: Figures, of: Compared) -> None:
    """Residual of normal voxels of every cohort (domain shift)."""
    if len(of.cohorts) < 2:
        return
    by_cohort = {cohort: of.of_whole("l1_normal", cohort) for cohort in of.cohorts}
    values = {
        title: {cohort: found[title] for cohort, found in by_cohort.items() if title in found}
        for title in of.residual
    }
    if not values:
        return
    figures.add(
        domain_shift(values),
        "domain_shift",
        "Study",
        "Domain shift: residuals of normal voxels",
        "The same models on every cohort; the larger the residual of normal voxels, the more "
        "foreign a cohort's scans are to a model." + left_out(of),
    )


def add_networks(figures: Figures, of: Compared, models: dict[str, dict]) -> None:
    """AUPRC and number of parameters, when networks differ (Fig. 9)."""
    networks = dict.fromkeys(one["network"] for one in of.by_title.values() if one["network"])
    if len(networks) < 2:
        return
    values = {}
    for cohort in of.cohorts:
        entries = of.of_whole("auprc", cohort)
        values[cohort] = {
            title: (models[of.by_title[title]["model"]]["parameters"], *value)
            for title, value in entries.items()
            if of.by_title[title]["model"] in models
        }
    figures.add(
        complexity(values, looks=figures.looks),
        "networks",
        "Study",
        "AUPRC and the size of the model",
        f"Networks: {', '.join(networks)}. Parameters of all parts of a model.",
    )


def add_correlations(figures: Figures, of: Compared) -> pandas.DataFrame:
    """Correlation matrices of measures over approaches (Fig. 10), drawn and as a table."""
    matrices, rows = {}, []
    chosen = of.summary[of.summary["approach"].isin(of.whole)]
    for cohort in of.cohorts:
        matrix = study.correlations(chosen, cohort)
        matrices[cohort] = (list(matrix.columns), matrix.to_numpy(float))
        for first in matrix.columns:
            rows += [
                [cohort, first, second, matrix.loc[first, second]] for second in matrix.columns
            ]
    if len(of.residual) >= study.FEWEST:
        figures.add(
            correlation_matrices(matrices),
            "correlations",
            "Study",
            "Correlations between measures over approaches",
            f"Pearson correlation over {len(of.residual)} approaches (means over seeds)."
            + left_out(of),
        )
    return pandas.DataFrame(rows, columns=["cohort", "first", "second", "correlation"])


def left_out(of: Compared) -> str:
    """Approaches without a residual, as the end of a caption."""
    names = [title for title in of.whole if title not in of.residual]
    if not names:
        return ""
    return f" Left out, as their maps are no residuals of a reconstruction: {', '.join(names)}."


def add_significance(figures: Figures, cohort: str, table: pandas.DataFrame) -> None:
    """Differences between all pairs of approaches."""
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    patients = int(table["patients"].max()) if len(table) else 0
    if len(names) < 2 or patients < 2:
        return
    mean = dict.fromkeys(names, 0.0)
    pairs = list(zip(table["first"], table["second"], table["difference"], table["p_holm"]))
    for one, other, value, _ in pairs:
        if np.isfinite(value):
            mean[one] += value
            mean[other] -= value
    names.sort(key=lambda name: -mean[name])
    place = {name: number for number, name in enumerate(names)}
    difference, p = (np.full((len(names), len(names)), np.nan) for _ in range(2))
    for one, other, value, corrected in pairs:
        i, j = place[one], place[other]
        difference[i, j], difference[j, i] = value, -value
        p[i, j] = p[j, i] = corrected
    possible = smallest_p(patients, len(table))
    remark = (
        f" So few patients cannot make a difference between {len(names)} approaches significant."
        if possible >= 0.05
        else ""
    )
    figures.add(
        significance_matrix(names, difference, p, title=cohort, label="AUPRC per patient"),
        f"significance_{cohort}",
        "Study",
        f"{cohort}: differences between approaches",
        f"Mean difference of AUPRC over {patients} patients; * p < 0.05 in a paired Wilcoxon test "
        f"after Holm's correction over all pairs.{remark}",
    )
