"""What was found in the scans of one shard, as figures and pages show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from normscan.evaluation.truth import load_brain, load_labels, load_truth
from normscan.files import read_json
from normscan.postprocessing.components import drop_small
from normscan.postprocessing.slice_rules import (
    Point,
    SliceRule,
    binarise,
    operating_point,
    without_opening,
)
from normscan.slices.index import PackIndex, ScanEntry, load_index, open_array, stack_volume
from normscan.slices.rows import RowReader


class Found:
    """Volumes (x, y, z) on the slice grid, read from pack and arrays through a manifest.

    Parameters
    ----------
    manifest : of the detections of a shard, or of a shard that was screened.

    Attributes
    ----------
    content : the manifest: cohort, protocol, variant, seed, rule, ...
    scans : names.
    """

    def __init__(self, manifest: str | Path):
        self.path = Path(manifest)
        self.content: dict[str, Any] = read_json(manifest)
        self.scans: list[str] = list(self.content["scans"])

    def is_of(self, approach: Mapping[str, Any]) -> bool:
        """Whether this is what an approach (``variant``, ``seed``) found."""
        return all(self.content[key] == approach[key] for key in ("variant", "seed"))

    @property
    def scores_voxels(self) -> bool:
        """Whether there are maps; an approach may score slices only."""
        return self._filtered.has("filtered")

    def image(self, scan: str) -> np.ndarray:
        """What the map says something about: the contrast that was expected."""
        entry = self._entry(scan)
        contrast = self._maps.content.get("contrast", self.content["contrast"])
        channel = self._index.contrasts.index(contrast)
        return stack_volume(open_array(self.content["index"])[entry.rows, channel], entry)

    def contrasts(self, scan: str, z: int) -> dict[str, np.ndarray]:
        """One slice (x, y) of every contrast of the pack, in its order."""
        return {contrast: one[:, :, z] for contrast, one in self.whole_contrasts(scan).items()}

    def whole_contrasts(self, scan: str) -> dict[str, np.ndarray]:
        """Every contrast of the pack, in its order."""
        entry = self._entry(scan)
        rows = open_array(self.content["index"])[entry.rows]
        return {
            contrast: stack_volume(rows[:, channel], entry)
            for channel, contrast in enumerate(self._index.contrasts)
        }

    def brain(self, scan: str) -> np.ndarray:
        """The brain mask (bool)."""
        return load_brain(self.content["index"], self._entry(scan))

    def affine(self, scan: str) -> np.ndarray:
        """(4, 4) voxel of the slice grid to world, mm."""
        return np.asarray(self._entry(scan).affine, float)

    def filtered(self, scan: str) -> np.ndarray | None:
        """The filtered map; None for an approach that scores slices only."""
        return self._volume(self._filtered, "filtered", scan)

    def expected(self, scan: str) -> np.ndarray | None:
        """What a model expected; None where nothing is reconstructed."""
        return self._volume(self._maps, "expected", scan)

    def uncertainty(self, scan: str) -> np.ndarray | None:
        """How far apart several reconstructions are; None where there is one or none."""
        return self._volume(self._maps, "uncertainty", scan)

    def detected(self, scan: str) -> np.ndarray | None:
        """Detections at the operating point (bool); None without such a point or a map."""
        return self.detected_at(scan, operating_point(self.content))

    def thresholded(self, scan: str) -> np.ndarray | None:
        """What exceeds the threshold (bool), nothing small dropped yet; None as above."""
        point = operating_point(self.content)
        return self._binarised(scan, None if point is None else without_opening(point))

    @property
    def splits_slices(self) -> bool:
        """Whether detections are made by a rule that splits each slice by itself."""
        return isinstance(operating_point(self.content), SliceRule)

    @property
    def points(self) -> dict[str, Point]:
        """Operating point of every rule that found one."""
        found = self.content.get("points", {}).items()
        points = {label: operating_point(record) for label, record in found}
        return {label: point for label, point in points.items() if point is not None}

    def detected_at(self, scan: str, point: Point | None) -> np.ndarray | None:
        """Detections at any operating point (bool); None without one or without a map."""
        split = self._binarised(scan, point)
        return None if split is None else drop_small(split, self.content["minimum_voxels"])

    def _binarised(self, scan: str, point: Point | None) -> np.ndarray | None:
        filtered = None if point is None else self.filtered(scan)
        if filtered is None or point is None:
            return None
        return binarise(filtered, point, np.asarray(self._entry(scan).affine))

    def truth(self, scan: str, labels: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Voxels that count as lesion, and voxels that count on neither side."""
        return load_truth(self.content["index"], self._entry(scan), labels)

    def labels(self, scan: str) -> np.ndarray:
        """The label map (int); 0 is normal."""
        return load_labels(self.content["index"], self._entry(scan))

    def slices(self, scan: str, z: int) -> dict[str, np.ndarray]:
        """One slice of what there is: image, reconstruction, map, uncertainty, detection."""
        volumes = {
            "image": self.image(scan),
            "reconstruction": self.expected(scan),
            "map": self.filtered(scan),
            "uncertainty": self.uncertainty(scan),
            "detection": self.detected(scan),
        }
        return {name: one[:, :, z] for name, one in volumes.items() if one is not None}

    @cached_property
    def _index(self) -> PackIndex:
        return load_index(self.content["index"])

    @cached_property
    def _filtered(self) -> RowReader:
        return RowReader(self.content.get("filtered", self.path))

    @cached_property
    def _maps(self) -> RowReader:
        return RowReader(self.content.get("maps", self.path))

    def _entry(self, scan: str) -> ScanEntry:
        return self._index.scan(scan)

    def _volume(self, rows: RowReader, kind: str, scan: str) -> np.ndarray | None:
        return rows.volume(kind, self._entry(scan)) if rows.has(kind) else None


def scans_with_maps(
    manifests: Iterable[str | Path], approach: Mapping[str, Any]
) -> dict[str, Found]:
    """Scan -> where it was found, of all that an approach (``variant``, ``seed``) has maps of."""
    scans: dict[str, Found] = {}
    for path in manifests:
        found = Found(path)
        if found.is_of(approach) and found.scores_voxels:
            scans |= dict.fromkeys(found.scans, found)
    return scans
