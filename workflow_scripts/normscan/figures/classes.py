"""Figures of a cohort whose lesions have classes: curves, boxes, and slices with labels in colours.

After Kobayashi et al. 2021, Figs. 5 to 7 and Table I.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from normscan.evaluation.classes import PATIENTS, class_metric
from normscan.evaluation.examples import typical_scans
from normscan.evaluation.found import Found, scans_with_maps
from normscan.evaluation.metrics import NO_THRESHOLD
from normscan.evaluation.truth import fullest_slice
from normscan.figures.class_curves import class_roc
from normscan.figures.collection import Figures
from normscan.figures.dice import dice_distributions
from normscan.figures.orientation import NEUROLOGICAL
from normscan.figures.slices import COLUMNS, Painter, draw_contour, slice_rows
from normscan.figures.style import styled

# Told apart on grey and on each other, also without seeing red from green.
SHADES = ("#FF4D4D", "#38B6FF", "#FFD43B", "#B197FC", "#63E6BE", "#FF922B")
SECTION = "Classes of lesions"
Classes = Mapping[str, Sequence[int]]


def add_class_curves(
    figures: Figures, cohort: str, curves: Mapping[str, Mapping[str, Any]]
) -> None:
    """Mean ROC curves of every class; nothing where a cohort has no classes.

    Parameters
    ----------
    curves : title of an approach -> what ``evaluation.cohort`` says of it, with ``classes``.
    """
    drawn: dict[str, dict[str, tuple]] = {}
    patients: dict[str, int] = {}
    for title, found in curves.items():
        for name, one in found.get("classes", {}).items():
            arrays = (np.array(one[key]) for key in ("fpr", "recall", "recall_std"))
            drawn.setdefault(name, {})[title] = (*arrays, one["auroc"])
            patients[name] = one[PATIENTS]
    if drawn:
        figures.add(
            class_roc(drawn, patients, looks=figures.looks),
            "class_roc",
            SECTION,
            f"{cohort}: ROC of every class of lesions",
            "Mean over patients of curves over 1,000 thresholds each, first seed. Positive are the "
            "voxels of a class, negative those of no class inside of the mask.",
        )


def add_class_boxes(
    figures: Figures, cohort: str, metrics: pandas.DataFrame, classes: Classes
) -> None:
    """Area under the ROC curve of every patient, class and approach.

    Parameters
    ----------
    metrics : of the cohort's test patients, with the approaches' ``title``.
    """
    values: dict[str, dict[str, np.ndarray]] = {}
    for name in classes:
        rows = metrics[
            (metrics["level"] == "subject")
            & (metrics["metric"] == class_metric(name, "auroc"))
            & (metrics["threshold_rule"] == NO_THRESHOLD)
        ]
        means = rows.groupby(["title", "subject"], sort=False)["value"].mean()
        for title, one in means.groupby(level=0, sort=False):
            values.setdefault(name, {})[str(title)] = one.to_numpy()
    if values:
        figures.add(
            dice_distributions(values, measure="AUROC", looks=figures.looks),
            "class_auroc",
            SECTION,
            f"{cohort}: AUROC of every class and patient",
            "A point is a patient: the mean over their scans and over seeds. What is at Youden's "
            "threshold stands in study/{protocol}/classes.tsv, marked as an oracle.",
        )


def add_class_slices(
    figures: Figures,
    cohort: str,
    manifests: Sequence[str],
    one: Mapping[str, Any],
    metrics: pandas.DataFrame,
    classes: Classes,
) -> None:
    """For every class the patient with the median area, with labels in the classes' colours.

    Parameters
    ----------
    metrics : of the cohort's test patients, with the approaches' ``title``.
    """
    scans = scans_with_maps(manifests, one)
    own = metrics[
        (metrics["title"] == one["title"])
        & (metrics["seed"] == one["seed"])
        & (metrics["level"] == "scan")
        & metrics["scan"].isin(list(scans))
    ]
    rows = []
    for name in classes:
        areas = own[own["metric"] == class_metric(name, "auroc")]
        patients = typical_scans(
            dict(zip(areas["scan"], areas["value"])), dict(zip(areas["scan"], areas["subject"]))
        )
        if len(patients):
            patient = patients.iloc[len(patients) // 2]
            rows.append(_row(scans[patient["scan"]], patient, name, classes, one))
    if rows:
        figures.add(
            class_slices(rows, list(classes), title=one["title"], orientation=figures.orientation),
            f"class_slices_{one['variant']}",
            SECTION,
            f"{cohort}: {one['title']}: a patient for every class",
            "The patient with the median AUROC of each class; the slice with most of its voxels. "
            + figures.sides,
        )


def _row(
    found: Found, patient: pandas.Series, name: str, classes: Classes, one: Mapping[str, Any]
) -> dict[str, Any]:
    scan = patient["scan"]
    labels = found.labels(scan)
    z = fullest_slice(np.isin(labels, list(classes[name])))
    return {
        "label": f"{name}\n{scan}\nAUROC {patient['value']:.2f}",
        "reconstruction_name": one["expected"],
        **found.slices(scan, z),
        "classes": np.stack([np.isin(labels[:, :, z], list(c)) for c in classes.values()], axis=-1),
    }


@styled
def class_slices(
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    *,
    title: str = "",
    orientation: str = NEUROLOGICAL,
) -> Figure:
    """Rows of slices: input, reconstruction, map, and labels in the colours of their classes.

    Parameters
    ----------
    rows : as of ``slice_rows``, and ``classes`` (h, w, k) bool, in the order of ``names``.
    """
    columns: dict[str, tuple[str, Painter]] = {
        **{key: COLUMNS[key] for key in ("image", "reconstruction", "map")},
        "classes": ("labels", _paint_classes),
    }
    figure = slice_rows(rows, title=title, columns=columns, orientation=orientation)
    parts = [Line2D([], [], color=shade(k), label=name) for k, name in enumerate(names)]
    figure.legend(
        handles=parts, loc="outside lower center", ncols=min(4, len(parts)), frameon=False,
        labelcolor="white", fontsize=7.5,
    )  # fmt: skip
    return figure


def shade(place: int) -> str:
    """Colour of a class by its place; they come again after the sixth."""
    return SHADES[place % len(SHADES)]


def _paint_classes(axes, row, limit, signed):
    drawn = COLUMNS["image"][1](axes, row, limit, signed)
    for place, mask in enumerate(np.moveaxis(np.asarray(row["classes"]), -1, 0)):
        draw_contour(axes, mask, shade(place))
    return drawn
