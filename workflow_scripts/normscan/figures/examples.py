"""The best, the median and the worst patient of an approach, as rows of slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas

from normscan.evaluation.examples import typical_scans
from normscan.evaluation.found import Found
from normscan.evaluation.truth import fullest_slice


def slice_examples(
    manifests: Sequence[str],
    one: Mapping[str, Any],
    metrics: pandas.DataFrame,
    protocol: str,
    labels: Sequence[int],
) -> list[dict[str, Any]]:
    """Rows for the best, the median and the worst patient of an approach by its own Dice."""
    scans: dict[str, Found] = {}
    rule = ""
    for path in manifests:
        found = Found(path)
        if found.is_of(one):
            rule = found.content["rule"]
            scans |= dict.fromkeys(found.scans, found)
    own = metrics[
        (metrics["approach"] == f"{protocol}/{one['variant']}")
        & (metrics["seed"] == one["seed"])
        & (metrics["level"] == "scan")
        & (metrics["metric"] == "dice")
        & (metrics["threshold_rule"] == rule)
        & metrics["scan"].isin(list(scans))
    ]
    patients = typical_scans(
        dict(zip(own["scan"], own["value"])), dict(zip(own["scan"], own["subject"]))
    )
    last = len(patients) - 1
    names = {last: "worst", 0: "best"}
    rows = []
    for place in sorted({0, len(patients) // 2, last} if len(patients) else ()):
        patient = patients.iloc[place]
        label = f"{names.get(place, 'median')}\n{dice_label(patient)}"
        scan = patient["scan"]
        rows.append(example(scans[scan], scan, label, one, labels))
    return rows


def dice_label(patient: pandas.Series) -> str:
    """The scan that is shown, its Dice, and the patient's mean where there are more scans."""
    mean = f"\nmean of {patient['scans']}: {patient['mean']:.2f}" if patient["scans"] > 1 else ""
    return f"{patient['scan']}\nDice {patient['value']:.2f}{mean}"


def example(
    found: Found, scan: str, label: str, one: Mapping[str, Any], labels: Sequence[int]
) -> dict[str, Any]:
    """One row: the axial slice with most lesion voxels of a scan, of the labels that count.

    With ``thresholded`` where a rule splits each slice and then drops small pieces.
    """
    lesion, ignored = found.truth(scan, labels)
    z = fullest_slice(lesion)
    row = {"label": label, "truth": lesion[:, :, z], "ignored": ignored[:, :, z]}
    row |= found.slices(scan, z)
    if found.splits_slices and (split := found.thresholded(scan)) is not None:
        row["thresholded"] = split[:, :, z]
    row["reconstruction_name"] = one["expected"]
    return row
