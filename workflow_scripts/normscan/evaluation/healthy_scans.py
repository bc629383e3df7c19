"""Scores of filtered maps of held-out healthy scans, and a scan's own place among them.

Of patients, where there are no healthy scans, it is those of their lesion-free slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from normscan.evaluation.truth import load_brain, slices_without_lesions
from normscan.postprocessing.filter import eroded
from normscan.postprocessing.fusing import (
    load_healthy,
    rarity_by_slice,
    slice_counts,
    slices_of_their_own,
)
from normscan.slices.index import PackIndex, ScanEntry, load_index
from normscan.slices.rows import RowReader


def scored_region(path: str | Path, index: PackIndex, scan: ScanEntry, erosion: int) -> np.ndarray:
    """Voxels (x, y, z) of slices without lesions in which a scan's filtered maps have scores.

    Parameters
    ----------
    path, index : of the pack.
    erosion : of the brain mask in the filtering, in voxels.
    """
    brain = load_brain(path, scan)
    searched = np.asarray(scan.z, int)[scan.rows_with_brain(index.min_brain_voxels)]
    free = slices_without_lesions(path, scan)
    return eroded(brain, erosion) & (np.isin(np.arange(brain.shape[2]), searched) & free)


def scores_of(
    manifests: Iterable[str | Path], chosen: Mapping[str, set[str]], erosion: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, filtered map and scored region of scans, one after the other.

    Parameters
    ----------
    manifests : of filtered maps.
    chosen : cohort -> scans.
    """
    for path in manifests:
        reader = RowReader(path)
        pack = reader.content["index"]
        index = load_index(pack)
        for name in reader.scans:
            if name in chosen[index.cohort]:
                scan = index.scan(name)
                region = scored_region(pack, index, scan, erosion)
                yield f"{index.cohort}/{name}", reader.volume("filtered", scan), region


class Part:
    """One approach that is fused, by one seed: its filtered maps of a shard, and healthy scores.

    Parameters
    ----------
    manifest : of its filtered maps.
    healthy : file of ``fusing.save_healthy``.
    least_scans, tail : as of ``fusing.slices_of_their_own`` and ``fusing.rarity``.
    erosion : of the brain mask in the filtering.

    Attributes
    ----------
    scans : healthy scans it is compared with.
    own : bool, which axial slices have a rarity of their own.
    compared_with_itself : names of healthy scans of this shard that could not be left out.
    """

    def __init__(
        self,
        manifest: str | Path,
        healthy: str | Path,
        *,
        least_scans: int,
        tail: float,
        erosion: int,
    ):
        self.reader, self.healthy = RowReader(manifest), load_healthy(healthy)
        self.tail, self.erosion = tail, erosion
        self.pack = self.reader.content["index"]
        self.index = load_index(self.pack)
        self.scans = len(self.healthy.scans)
        self.own = slices_of_their_own(self.healthy, least_scans)
        self.tables = rarity_by_slice(self.healthy, self.own, tail)
        self.compared_with_itself: list[str] = []

    def filtered(self, scan: ScanEntry) -> np.ndarray:
        """A scan's filtered map (x, y, z)."""
        return self.reader.volume("filtered", scan)

    def tables_for(self, scan: ScanEntry) -> np.ndarray:
        """``-log p`` by slice and bin among healthy scans of other subjects.

        All scans of a subject are in one shard, so those to be left out are here. Where nobody
        else is left, the scan is compared with itself too.
        """
        own = self._same_subject(scan)
        if not own:
            return self.tables
        others = self.healthy.without([self._known(one) for one in own], self._counts(own))
        if not others.voxels:
            self.compared_with_itself.append(scan.scan)
            return self.tables
        return rarity_by_slice(others, self.own, self.tail)

    def _known(self, scan: ScanEntry) -> str:
        return f"{self.index.cohort}/{scan.scan}"

    def _same_subject(self, scan: ScanEntry) -> list[ScanEntry]:
        """Scans of this subject that are among the healthy ones."""
        known = set(self.healthy.scans)
        return [
            one
            for one in self.index.scans
            if one.subject == scan.subject and self._known(one) in known
        ]

    def _counts(self, scans: Sequence[ScanEntry]) -> np.ndarray:
        regions = [scored_region(self.pack, self.index, one, self.erosion) for one in scans]
        counts = [slice_counts(self.filtered(one), own) for one, own in zip(scans, regions)]
        return np.sum(counts, axis=0)
