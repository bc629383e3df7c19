"""Detections of one approach at every threshold, of some patients side by side.

After You et al. 2019, Figs. 1 and 4 to 6: input, restored image, residual, detections at each
threshold, lesions. One figure here holds what is four there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas

from normscan.evaluation.examples import typical_scans
from normscan.evaluation.found import Found, scans_with_maps
from normscan.evaluation.metrics import ORACLE
from normscan.evaluation.truth import fullest_slice
from normscan.figures.collection import Figures
from normscan.figures.columns import patient_columns
from normscan.figures.labels import rule_label
from normscan.postprocessing.slice_rules import Point

# As in the paper.
PATIENTS = 7
OPTIMISTIC = "youden_threshold"


def first_of_kinds(approaches: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first approach of each model and detector: those of a sweep look alike."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for one in approaches:
        found.setdefault((one["model"], one["detector"]), one)
    return list(found.values())


def add_panels(
    figures: Figures,
    cohort: str,
    manifests: Sequence[str],
    one: Mapping[str, Any],
    metrics: pandas.DataFrame,
    labels: Sequence[int],
) -> None:
    """Patients as columns; nothing of an approach without maps or thresholds.

    Parameters
    ----------
    metrics : of the cohort's test patients, with the approaches' ``title``.
    """
    scans = scans_with_maps(manifests, one)
    own = metrics[(metrics["title"] == one["title"]) & (metrics["seed"] == one["seed"])]
    shown = chosen_patients(own, scans)
    points = dict(next(iter(scans.values())).points) if scans else {}
    best = own[(own["metric"] == OPTIMISTIC) & (own["level"] == "cohort")]["value"]
    if len(best):
        points[f"{ORACLE}:youden"] = float(best.iloc[0])
    if not shown or not points:
        return
    columns = [column(scans[scan], scan, points, labels) for scan in shown]
    drawn = patient_columns(
        columns,
        {rule: rule_label(rule) for rule in points},
        reconstruction=one["expected"],
        title=f"{one['title']}: {cohort}",
        orientation=figures.orientation,
    )
    figures.add(
        drawn,
        f"thresholds_{one['variant']}",
        "Slices",
        f"{cohort}: {one['title']} at every threshold",
        f"{len(shown)} patients, from the largest to the smallest lesion volume; the slice with "
        "most lesion voxels of each. Rows marked as oracle: the threshold was chosen on these "
        f"scans. {figures.sides}",
    )


def chosen_patients(own: pandas.DataFrame, scans: Mapping[str, Found]) -> list[str]:
    """A scan of each of some patients, evenly spread by the volume of their lesions.

    The paper's were drawn at random; the spread shows large and small lesions in any draw.
    """
    rows = own[
        (own["level"] == "scan")
        & (own["metric"] == "lesion_volume_ml")
        & own["scan"].isin(list(scans))
    ].drop_duplicates("scan")
    patients = typical_scans(
        dict(zip(rows["scan"], rows["value"])), dict(zip(rows["scan"], rows["subject"]))
    )
    count = min(PATIENTS, len(patients))
    places = np.linspace(0, len(patients) - 1, count).round().astype(int)
    return patients["scan"].iloc[places].tolist()


def column(
    found: Found, scan: str, points: Mapping[str, Point], labels: Sequence[int]
) -> dict[str, Any]:
    """One patient: what ``slices.patient_columns`` takes."""
    lesion, ignored = found.truth(scan, labels)
    z = fullest_slice(lesion)
    detections = {}
    for rule, point in points.items():
        detected = found.detected_at(scan, point)
        assert detected is not None
        detections[rule] = detected[:, :, z]
    shown = {"label": scan, "truth": lesion[:, :, z], "ignored": ignored[:, :, z]}
    return shown | found.slices(scan, z) | {"detections": detections}
