"""How well each of several abnormality classes is told from normal tissue.

Kobayashi et al. 2021, section III-C-6: a ROC curve per class and scan, over voxels inside of the
body. Positive are the voxels of the class, negative those of no class: one of another class that
exceeds the threshold is no false alarm. The paper gives sensitivity, specificity, precision and F1
without saying at which threshold; assumed is Youden's (largest TPR - FPR), found with the labels of
the very scan that is reported on. These values are oracles, and marked as such.

A metric of a class is called ``{class}:{metric}`` in ``metrics.tsv``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas

from normscan.evaluation.metrics import NO_THRESHOLD, ORACLE
from normscan.postprocessing.class_counts import ClassCounts

MEASURES = {
    "auroc": NO_THRESHOLD,
    "sensitivity": ORACLE,
    "specificity": ORACLE,
    "precision": ORACLE,
    "f1": ORACLE,
}
PATIENTS = "patients"
MEAN, STD = "_mean", "_std"
# False-positive rates at which curves of several scans are averaged.
FPR = np.linspace(0, 1, 201)
TABLE = ["cohort", "class", "approach", "metric", "threshold_rule", "mean", "std", "patients"]


def class_metric(name: str, metric: str) -> str:
    """``tumour`` and ``auroc`` -> ``tumour:auroc``."""
    return f"{name}:{metric}"


def class_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """ROC curves and what follows from them, of many scans and classes at once.

    Parameters
    ----------
    counts : int (n, 1 + k, t): voxels by score, of no class first, as of ``ClassCounts``.

    Returns
    -------
    scores : ``fpr`` and ``tpr`` (n, k, t + 1), from the threshold that nothing exceeds to the
        lowest; the measures (n, k): ``auroc`` by trapezoids, ``sensitivity``, ``specificity``,
        ``precision`` and ``f1`` at Youden's threshold, of several the highest. NaN where a scan has
        no voxel of the class, or no normal one.
    """
    above = np.cumsum(counts[..., ::-1], axis=-1)
    above = np.concatenate([np.zeros_like(above[..., :1]), above], axis=-1).astype(float)
    false, true = np.broadcast_arrays(above[:, :1], above[:, 1:])
    with np.errstate(invalid="ignore", divide="ignore"):
        fpr, tpr = false / false[..., -1:], true / true[..., -1:]
        known = np.isfinite(fpr[..., -1]) & np.isfinite(tpr[..., -1])
        place = np.argmax(np.where(known[..., None], tpr - fpr, 0), axis=-1)[..., None]

        def at(values: np.ndarray) -> np.ndarray:
            return np.take_along_axis(values, place, axis=-1)[..., 0]

        hits, alarms, size = at(true), at(false), true[..., -1]
        found = {
            "auroc": np.trapezoid(tpr, fpr, axis=-1),
            "sensitivity": at(tpr),
            "specificity": 1 - at(fpr),
            "precision": hits / (hits + alarms),
            "f1": 2 * hits / (hits + alarms + size),
        }
    found = {name: np.where(known, values, np.nan) for name, values in found.items()}
    return {"fpr": fpr, "tpr": tpr, **found}


def class_rows(scans: Mapping[str, ClassCounts]) -> list[tuple[str, str, str, float]]:
    """Rows (scan, threshold rule, metric, value) of every class that a scan has voxels of."""
    if not scans:
        return []
    scores = class_scores(np.stack([one.counts for one in scans.values()]))
    classes = next(iter(scans.values())).names
    return [
        (scan, rule, class_metric(name, metric), float(scores[metric][row, column]))
        for row, scan in enumerate(scans)
        for column, name in enumerate(classes)
        if np.isfinite(scores["auroc"][row, column])
        for metric, rule in MEASURES.items()
    ]


def class_curves(
    scans: Mapping[str, ClassCounts], subject_of: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Mean ROC curve over subjects of every class that any scan has (Fig. 6 of the paper).

    Returns
    -------
    curves : class -> ``fpr`` and ``recall``, ``recall_std`` over subjects, ``auroc`` (mean over
        subjects) and ``patients``. Curves of a subject's scans are averaged first, at equal
        false-positive rates.
    """
    scans = {scan: one for scan, one in scans.items() if scan in subject_of}
    if not scans:
        return {}
    scores = class_scores(np.stack([one.counts for one in scans.values()]))
    subjects = np.array([subject_of[scan] for scan in scans])
    found = {}
    for column, name in enumerate(next(iter(scans.values())).names):
        area = scores["auroc"][:, column]
        rows = np.flatnonzero(np.isfinite(area))
        if not len(rows):
            continue
        curves = pandas.DataFrame(
            [np.interp(FPR, scores["fpr"][row, column], scores["tpr"][row, column]) for row in rows]
        )
        own = curves.assign(area=area[rows]).groupby(subjects[rows]).mean()
        mean, spread = own.mean(), own.std(ddof=0)
        found[name] = {
            "fpr": FPR.round(4).tolist(),
            "recall": mean.drop("area").round(6).tolist(),
            "recall_std": spread.drop("area").round(6).tolist(),
            "auroc": float(mean["area"]),
            PATIENTS: len(own),
        }
    return found


def patients_of_classes(rows: pandas.DataFrame) -> list[tuple[str, str, float]]:
    """``{class}:patients`` (threshold rule, metric, value): subjects that a mean is over.

    Parameters
    ----------
    rows : of the level ``subject``, any metrics.
    """
    areas = rows[rows["metric"].str.endswith(":auroc")]
    counts = areas.groupby("metric", sort=False)["subject"].nunique()
    return [
        (NO_THRESHOLD, class_metric(str(metric).rpartition(":")[0], PATIENTS), float(count))
        for metric, count in counts.items()
    ]


def classes_in(metrics: pandas.DataFrame) -> list[str]:
    """Classes that a table of metrics has values of, in its order."""
    areas = metrics["metric"][metrics["metric"].str.endswith(":auroc" + MEAN)]
    return list(dict.fromkeys(metric.rpartition(":")[0] for metric in areas))


def class_table(metrics: pandas.DataFrame, cohorts: Iterable[str]) -> pandas.DataFrame:
    """Mean and standard deviation over patients of every class, means over seeds (Table I).

    Parameters
    ----------
    metrics : of test patients among others, with the approaches' titles.

    Returns
    -------
    table : columns :data:`TABLE`; approaches in the order of the rows.
    """
    of = metrics[(metrics["split"] == "test") & (metrics["level"] == "cohort")]
    rows = []
    for cohort in cohorts:
        own = of[of["cohort"] == cohort]
        wide = own.groupby(["approach", "metric"], sort=False)["value"].mean().unstack()
        for name in classes_in(own):
            keys = [class_metric(name, metric) for metric in MEASURES]
            of_class = wide.reindex(
                index=list(dict.fromkeys(own["approach"])),
                columns=[key + end for key in keys for end in (MEAN, STD)]
                + [class_metric(name, PATIENTS)],
            ).dropna(how="all")
            rows += [
                [cohort, name, approach, metric, rule, row[key + MEAN], row[key + STD],
                 row[class_metric(name, PATIENTS)]]
                for approach, row in of_class.iterrows()
                for key, (metric, rule) in zip(keys, MEASURES.items())
            ]  # fmt: skip
    return pandas.DataFrame(rows, columns=TABLE)
