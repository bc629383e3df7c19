"""Anatomical fidelity of reconstructions, as a segmentation of normal anatomy sees them.

Source: Kobayashi et al. 2021, section II-D. The *quality score* (Eq. 9) of a slice is the entropy
of the class probabilities of the input minus that of its reconstruction, each summed over pixels
and classes: below 0 where the network is less sure of the reconstruction (which blur makes it), and
higher is better. As a sum over pixels it grows with the area of a slice, so it compares approaches
on slices of one size. The *overlap score* (Eq. 10) is the Dice of the label maps of both, the mean
over those classes that appear in the input.

Assumed, since the paper leaves it open: natural logarithms; a pixel's label is its most probable
class; background is in the entropy, as it is one of the probabilities, and no class of the overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from scipy.special import entr

from normscan.errors import NormscanError
from normscan.evaluation.metrics import COLUMNS, NO_THRESHOLD, over_scans, over_subjects
from normscan.files import atomic_path
from normscan.slices.rows import RowReader

QUALITY, OVERLAP = "quality_score", "overlap_score"
# The kind of stored values that reconstructions are.
EXPECTED = "expected"
SCORES = ["scan", "slice", "metric", "value"]
# What a row of the metrics' table says besides of whom it is.
ROW = COLUMNS[COLUMNS.index("level") :]


def unmeasured(maps: RowReader, contrast: str) -> str:
    """Why an approach's maps of a shard have no reconstructions of a contrast; empty: they have."""
    if not maps.scans:
        return "the shard has no scans with maps"
    if not maps.has(EXPECTED):
        return "it makes no reconstructions"
    if maps.content["contrast"] != contrast:
        return f"it reconstructs {maps.content['contrast']}, and {contrast} is what is segmented"
    return ""


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy (n,), nats, of slices' class probabilities (n, classes, h, w), summed over pixels."""
    return pixel_entropy(probabilities).sum(axis=(1, 2))


def pixel_entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy (n, h, w), nats, of each pixel's class probabilities (n, classes, h, w)."""
    return entr(probabilities, dtype=np.float64).sum(axis=1)


def class_overlaps(given: np.ndarray, other: np.ndarray, classes: int) -> np.ndarray:
    """Dice (n, classes) of label maps (n, h, w), integers from 0, background, to ``classes``.

    NaN for classes that do not appear in the slice of ``given``.
    """
    count, side = len(given), classes + 1
    pairs = (given.astype(np.int64) * side + other).reshape(count, -1)
    pairs += np.arange(count)[:, None] * side**2
    joint = np.bincount(pairs.ravel(), minlength=count * side**2).reshape(count, side, side)
    both = joint.diagonal(axis1=1, axis2=2)[:, 1:]
    own, others = joint.sum(axis=2)[:, 1:], joint.sum(axis=1)[:, 1:]
    return np.where(own > 0, 2 * both / np.maximum(own + others, 1), np.nan)


def slice_scores(
    given: np.ndarray, reconstructed: np.ndarray, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Scores of slices from the class probabilities of inputs and of their reconstructions.

    Parameters
    ----------
    given, reconstructed : (n, 1 + classes, h, w), background first.
    names : of the classes.

    Returns
    -------
    metric -> value of each slice (n,): ``quality_score``, ``overlap_score`` (NaN where no class is
    in the input), and ``overlap_score_{name}`` of each class (NaN where it is not in the input).
    """
    overlaps = class_overlaps(given.argmax(axis=1), reconstructed.argmax(axis=1), len(names))
    present = ~np.isnan(overlaps)
    total = np.where(present, overlaps, 0).sum(axis=1)
    counts = present.sum(axis=1)
    mean = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    by_class = {f"{OVERLAP}_{name}": column for name, column in zip(names, overlaps.T)}
    return {QUALITY: entropy(given) - entropy(reconstructed), OVERLAP: mean, **by_class}


def score_table(scan: str, positions: Sequence[int], scores: Mapping[str, np.ndarray]):
    """Scores of a scan's slices at axial ``positions``, with the columns :data:`SCORES`."""
    tables = [
        pandas.DataFrame({"scan": scan, "slice": positions, "metric": name, "value": values})
        for name, values in scores.items()
    ]
    return pandas.concat(tables, ignore_index=True)[SCORES]


def fidelity_rows(scores: pandas.DataFrame, subject_of: Mapping[str, str]) -> pandas.DataFrame:
    """Means over slices, then over a subject's scans, then over subjects.

    Parameters
    ----------
    scores : columns :data:`SCORES`. Missing values (a class that is not in a slice) are left out.
    subject_of : scan -> subject, of the scans to report on.

    Returns
    -------
    table : columns :data:`ROW`, levels ``scan``, ``subject`` and, as ``{metric}_mean`` and
        ``{metric}_std`` over subjects, ``cohort``; empty without scores of these scans.
    """
    own = scores[scores["scan"].isin(list(subject_of))]
    if not len(own):
        return pandas.DataFrame(columns=ROW)
    means = own.groupby(["scan", "metric"], sort=False)["value"].mean().dropna().reset_index()
    scans = means.assign(subject=means["scan"].map(subject_of), threshold_rule=NO_THRESHOLD)
    scans = scans[ROW[1:]]
    subjects = over_scans(scans)
    cohort = pandas.DataFrame(over_subjects(subjects), columns=ROW[3:])
    levels = {"cohort": cohort, "subject": subjects, "scan": scans}
    tables = [table.assign(level=level) for level, table in levels.items()]
    return pandas.concat(tables, ignore_index=True).reindex(columns=ROW)


def save_example(
    path: str | Path,
    scan: str,
    position: int,
    images: Mapping[str, np.ndarray],
    probabilities: Any,
    classes: Sequence[str],
) -> None:
    """Write one slice and its reconstructions as a segmentation sees them (``.npz``).

    Parameters
    ----------
    position : axial, on the slice grid.
    images : title -> (h, w), the input first; empty where there is nothing to be shown.
    probabilities : (images, 1 + classes, h, w).
    """
    likely = np.asarray(probabilities, np.float32)
    shown = bool(images)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            titles=np.array(list(images), dtype=np.str_),
            images=np.stack(list(images.values())) if shown else np.zeros((0, 0, 0)),
            entropy=pixel_entropy(likely).astype(np.float32) if shown else np.zeros((0, 0, 0)),
            labels=likely.argmax(axis=1) if shown else np.zeros((0, 0, 0), np.int64),
            classes=np.array(list(classes), dtype=np.str_),
            scan=np.array(scan),
            position=np.array(position),
        )


def load_example(path: str | Path) -> dict[str, Any]:
    """What :func:`save_example` wrote: ``titles``, ``classes`` (lists), ``scan``, ``position``,
    ``images``, ``entropy``, ``labels`` (images, h, w). NormscanError when missing or broken.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            found = {name: content[name] for name in content.files}
            lists = {name: found[name].tolist() for name in ("titles", "classes")}
            return {
                **found,
                **lists,
                "scan": str(found["scan"]),
                "position": int(found["position"]),
            }
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise NormscanError(
            f"{path}: cannot be read ({error}); remove it to make it again"
        ) from None
