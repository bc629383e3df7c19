"""How much of held-out healthy scans lies above thresholds, for a screened scan's place there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from normscan.postprocessing.histograms import load_arrays, load_histograms, score_bins
from normscan.postprocessing.slice_rules import SliceRule, operating_point

# Decimals of a volume: of voxels of a mm3 and more, each counts.
DECIMALS = 4


def healthy_volumes(
    paths: Iterable[str],
    scans: Mapping[str, Collection[str]],
    prior: str,
    points: Mapping[str, Mapping[str, Any]],
    voxel_ml: float,
) -> dict[str, list[float]]:
    """Rule -> volume (ml) above its threshold of every healthy scan, smallest first.

    Volumes are of the slice grid, small components included. Rules that found no threshold, or
    split each slice by itself, are left out: histograms say nothing of them.

    Parameters
    ----------
    paths : files of histograms; those of other cohorts or priors are passed over.
    scans : healthy cohort -> its validation scans.
    prior : sign that the maps were filtered by.
    points : rule -> record, as of ``thresholds.json``.
    voxel_ml : volume of a voxel of the slice grid.
    """
    found = {label: operating_point(record) for label, record in points.items()}
    bins = {
        label: int(score_bins(np.array([point]))[0]) + 1
        for label, point in found.items()
        if point is not None and not isinstance(point, SliceRule)
    }
    volumes: dict[str, list[float]] = {label: [] for label in bins}
    for path in paths:
        cohort, own = (str(one) for one in load_arrays(path, "cohort", "prior"))
        if own != prior or cohort not in scans:
            continue
        for scan, histogram in load_histograms(path).items():
            if scan in scans[cohort]:
                counts = histogram.normal + histogram.lesion
                for label, first in bins.items():
                    ml = round(float(counts[first:].sum() * voxel_ml), DECIMALS)
                    volumes[label].append(ml)
    return {label: sorted(own) for label, own in volumes.items() if own}


def place_among(volume: float, healthy: Sequence[float]) -> tuple[int, float]:
    """How many healthy scans have less, and their share in per cent.

    Parameters
    ----------
    volume : ml, of the scan in question.
    healthy : ml, of at least one healthy scan.
    """
    below = sum(one < round(volume, DECIMALS) for one in healthy)
    return below, 100 * below / len(healthy)
