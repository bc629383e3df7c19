"""What the viewer of a scan's page shows: layers on the slice grid, threshold rules, components.

One background more, the scan in its own voxels, lies in atlas space too (``own_voxels``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas

from normscan.evaluation.found import Found
from normscan.figures.labels import rule_label
from normscan.figures.orientation import NEUROLOGICAL, RADIOLOGICAL, words
from normscan.figures.slices import grey_range, scale_end
from normscan.report.numbers import number
from normscan.report.own_voxels import own_of_packs
from normscan.report.volumes import COMPARED, SEEN, Box, box_of, embedded
from normscan.slices.index import ScanEntry, load_index

# Values of the layer of detections; without a truth all detections are OUTSIDE of what is known.
INSIDE, OUTSIDE, IGNORED = 1, 2, 3


@dataclass(frozen=True)
class Shown:
    """One approach on one scan.

    Attributes
    ----------
    found : of the shard that holds the scan.
    section : which section of the page is the approach's, from 0.
    expected : what the reconstruction is called (``restoration``).
    components : the table of detected components, centres and boxes in atlas space included.
    rules : threshold rules [{rule, value, per, false_positive_rate, used}].
    """

    found: Found
    title: str
    section: int
    expected: str
    components: pandas.DataFrame
    rules: Sequence[Mapping[str, Any]]


def viewer_content(
    scan: str,
    shown: Sequence[Shown],
    labels: Sequence[int] | None = None,
    *,
    orientation: str = NEUROLOGICAL,
) -> dict[str, Any] | None:
    """Layers of a scan and of all approaches, ready for JSON; None where no approach has a map.

    Parameters
    ----------
    labels : labels of the lesion map that are sought; None: there is no truth.
    orientation : of ``figures.orientation``.

    Returns
    -------
    ``radiological`` : whether the patient's left is on the right; ``sides`` says so in words.
    ``packs`` : the layers that approaches on one slice grid share, contrasts and truth; ``own``,
    the scan in its own voxels, or None and ``own_note``, why; ``voxels``, those of the grid.
    ``approaches`` : ``title``, ``section``, ``pack`` (a number), ``layers``, ``rules``,
    ``components`` (number -> mm), ``voxel_ml``. A layer has a ``kind``, a ``name``, ``low`` and
    ``high`` (values at the ends of its colours) and ``nifti`` (base64).
    """
    packs: dict[str, dict[str, Any]] = {}
    brains: dict[str, tuple[ScanEntry, str, np.ndarray]] = {}
    approaches = []
    for one in shown:
        if not one.found.scores_voxels:
            continue
        index = str(one.found.content["index"])
        truth = None if labels is None else one.found.truth(scan, labels)
        if index not in packs:
            mask = brain_and_lesions(one.found, scan, truth)
            box = box_of(mask)
            packs[index] = {"box": box, "layers": pack_layers(one.found, scan, box, truth)}
            contrast = str(one.found.content["contrast"])
            brains[index] = load_index(index).scan(scan), contrast, mask
        approaches.append(
            {
                "title": one.title,
                "section": one.section,
                "pack": list(packs).index(index),
                "layers": approach_layers(one, scan, packs[index]["box"], truth),
                "rules": [rule_content(rule) for rule in one.rules],
                "components": places(one, scan),
                "voxel_ml": abs(float(np.linalg.det(one.found.affine(scan)[:3, :3]))) / 1000,
            }
        )
    if not approaches:
        return None
    return {
        "radiological": orientation == RADIOLOGICAL,
        "sides": words(orientation),
        "packs": [
            {"layers": packs[index]["layers"], **own} for index, own in own_of_packs(brains).items()
        ],
        "approaches": approaches,
    }


def brain_and_lesions(
    found: Found, scan: str, truth: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """The brain (bool) and lesions that reach beyond its mask."""
    mask = found.brain(scan)
    return mask if truth is None else mask | truth[0] | truth[1]


def pack_layers(
    found: Found, scan: str, box: Box, truth: tuple[np.ndarray, np.ndarray] | None
) -> list[dict[str, Any]]:
    """Contrasts, the one that maps are of first, and the truth."""
    affine = found.affine(scan)
    contrasts = found.whole_contrasts(scan)
    first = found.content.get("contrast")
    layers = [
        layer("scan", name, contrasts[name], affine, box, grey_range(contrasts[name]))
        for name in sorted(contrasts, key=lambda name: name != first)
    ]
    if truth is not None:
        lesion, ignored = truth
        marked = np.where(lesion, INSIDE, np.where(ignored, IGNORED, 0)).astype(np.uint8)
        layers.append(layer("truth", "lesions", marked, affine, box, (0, IGNORED)))
    return layers


def approach_layers(
    one: Shown, scan: str, box: Box, truth: tuple[np.ndarray, np.ndarray] | None
) -> list[dict[str, Any]]:
    """Reconstruction, map, uncertainty and detection, as far as there are."""
    found, affine = one.found, one.found.affine(scan)
    layers: list[dict[str, Any]] = []
    if (expected := found.expected(scan)) is not None:
        ends = grey_range(found.image(scan))
        layers.append(layer("expected", one.expected, expected, affine, box, ends))
    for kind, name, volume in (
        ("map", "anomaly map", found.filtered(scan)),
        ("uncertainty", "uncertainty", found.uncertainty(scan)),
    ):
        if volume is not None:
            layers.append(layer(kind, name, volume, affine, box, (0.0, scale_end([volume]))))
    if (detected := found.detected(scan)) is not None:
        marked = np.where(detected, OUTSIDE, 0).astype(np.uint8)
        if truth is not None:
            lesion, ignored = truth
            marked[detected & ignored] = IGNORED
            marked[detected & lesion] = INSIDE
        layers.append(layer("detection", "detection", marked, affine, box, (0, IGNORED)))
    return layers


def layer(
    kind: str,
    name: str,
    volume: np.ndarray,
    affine: np.ndarray,
    box: Box,
    ends: tuple[float, float],
) -> dict[str, Any]:
    """One layer of the viewer."""
    low, high = ends
    nifti = embedded(volume, affine, box, COMPARED if kind == "map" else SEEN)
    return {"kind": kind, "name": name, "low": float(low), "high": float(high), "nifti": nifti}


def rule_content(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A threshold rule: where it puts the slider, and what that means in words."""
    label = rule_label(str(rule["rule"]))
    rate, per = rule.get("false_positive_rate"), rule.get("per")
    used = " Detections on this page are by this rule." if rule.get("used") else ""
    value = None if per else float(rule["value"])
    if value is None:
        words = f"each {per} has a threshold of its own, which no place on the scale stands for."
    else:
        words = f"scores above {number(value, 4)} are marked."
    healthy = (
        f" It marks {number(100 * rate, 2)}\u00a0% of healthy voxels."
        if rate is not None
        else " How many healthy voxels it marks was not measured."
    )
    return {
        "label": label,
        "value": value,
        "used": bool(rule.get("used")),
        "words": f"{label[0].upper()}{label[1:]}: {words}{healthy}{used}",
    }


def places(one: Shown, scan: str) -> dict[str, list[float]]:
    """Component -> the middle (mm, atlas space) of its detected voxel nearest to its centre.

    The centre itself may lie outside of a component that is bent.
    """
    detected, affine = one.found.detected(scan), one.found.affine(scan)
    found: dict[str, list[float]] = {}
    if detected is None:
        return found
    for row in one.components.to_dict("records"):
        first = np.array([int(row[f"atlas_{axis}_first"]) for axis in "xyz"])
        last = np.array([int(row[f"atlas_{axis}_last"]) for axis in "xyz"])
        centre = np.linalg.solve(affine, [*(row[f"atlas_{axis}_mm"] for axis in "xyz"), 1])[:3]
        voxels = np.argwhere(detected[tuple(map(slice, first, last + 1))]) + first
        if not len(voxels):
            continue
        nearest = voxels[((voxels - centre) ** 2).sum(axis=1).argmin()]
        place = (affine @ [*nearest, 1])[:3]
        found[str(int(row["component"]))] = [round(float(mm), 2) for mm in place]
    return found
