"""The best, the median and the worst patient of an approach, as rows of slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas

from normscan.evaluation.examples import typical_scans
from normscan.evaluation.truth import fullest_slice, load_truth
from normscan.files import load_nifti, read_json


def slice_examples(
    manifests: Sequence[str],
    one: Mapping[str, Any],
    metrics: pandas.DataFrame,
    protocol: str,
    labels: Sequence[int],
) -> list[dict[str, Any]]:
    """Rows for the best, the median and the worst patient of an approach by its own Dice."""
    scans = {}
    rule = ""
    for path in manifests:
        if f"/{one['folder']}/" in path:
            content = read_json(path)
            rule = content["rule"]
            scans |= content["scans"]
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
        rows.append(example(scans[patient["scan"]], label, one, labels))
    return rows


def dice_label(patient: pandas.Series) -> str:
    """The scan that is shown, its Dice, and the patient's mean where there are more scans."""
    mean = f"\nmean of {patient['scans']}: {patient['mean']:.2f}" if patient["scans"] > 1 else ""
    return f"{patient['scan']}\nDice {patient['value']:.2f}{mean}"


def example(
    files: Mapping[str, str], label: str, one: Mapping[str, Any], labels: Sequence[int]
) -> dict[str, Any]:
    """One row: the axial slice with most lesion voxels of a scan, of the labels that count."""
    lesion, ignored = load_truth(files["lesions"], labels)
    z = fullest_slice(lesion)
    row = {"label": label, "truth": lesion[:, :, z], "ignored": ignored[:, :, z]}
    keys = {"image": "input", "map": "filtered", "detection": "detection"}
    for name, key in {**keys, "reconstruction": "reconstruction"}.items():
        if key in files:
            row[name] = load_nifti(files[key])[0][:, :, z]
    row["reconstruction_name"] = one["expected"]
    return row
