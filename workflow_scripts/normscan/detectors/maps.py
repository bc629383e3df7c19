"""Anomaly maps of one shard, written as arrays with the rows of its pack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normscan.detectors.base import Detection
from normscan.errors import NormscanError
from normscan.files import write_json
from normscan.slices.index import PackIndex, ScanEntry
from normscan.slices.rows import RowWriter

LARGEST = float(np.finfo(np.float16).max)


def write_maps(
    path: str | Path,
    facts: dict[str, Any],
    index: PackIndex,
    scans: Sequence[ScanEntry],
    detections: Iterable[Detection],
) -> None:
    """Write what a detector found in the scans of a shard; one scan is in memory at a time.

    Beside the manifest: ``{shard}.npy`` (float32, the signed maps), ``{shard}.expected.npy``
    (float16, the reconstruction of the first target) and ``{shard}.uncertainty.npy`` (float16, the
    spread of several reconstructions), where the detector gives them. Scores of
    slices are in the manifest (``slice_scores``: one per row, null where nothing was detected).

    Parameters
    ----------
    path : of the manifest (JSON).
    facts : what the manifest says besides: cohort, approach, seed and whatever determines the maps.
    index : of the pack.
    scans : the scans, in order.
    detections : one per scan, of its slices with brain (:func:`brain_rows`).
    """
    scores = {}
    with RowWriter(path, scans, index.size) as writer:
        for scan, detection in zip(scans, detections, strict=True):
            rows = scan.rows_with_brain(index.min_brain_voxels)
            if found := put_detection(writer, scan, rows, detection):
                scores[scan.scan] = {"slice_scores": found}
    content = writer.facts()
    content["scans"] = {
        scan: {**place, **scores.get(scan, {})} for scan, place in content["scans"].items()
    }
    write_json(path, {**facts, **content})


def put_detection(
    writer: RowWriter, scan: ScanEntry, rows: np.ndarray, detection: Detection
) -> list[float | None]:
    """Put a scan's maps where they belong; the scores of its slices, empty when there are none.

    Raises
    ------
    NormscanError : scores that are not finite.
    """
    if detection.map is not None:
        writer.put("map", scan.scan, detection.map, rows)
    if detection.reconstruction is not None:
        # Without a normalisation intensities may be beyond half precision.
        expected = np.clip(detection.reconstruction[:, 0], -LARGEST, LARGEST)
        writer.put("expected", scan.scan, expected, rows)
    if detection.uncertainty is not None:
        writer.put("uncertainty", scan.scan, np.minimum(detection.uncertainty, LARGEST), rows)
    if detection.scores is None:
        return []
    if not np.isfinite(detection.scores).all():
        raise NormscanError(f"{scan.scan}: scores of its slices are not finite")
    found: list[float | None] = [None] * scan.count
    for row, score in zip(rows, detection.scores, strict=True):
        found[row] = float(score)
    return found


def brain_rows(index: PackIndex, scan: ScanEntry) -> np.ndarray:
    """Rows of the pack that are searched in a scan: those with enough brain."""
    return scan.first + scan.rows_with_brain(index.min_brain_voxels)
