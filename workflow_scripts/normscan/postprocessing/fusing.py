"""Maps of several approaches fused into one: how rarely healthy tissue scores as high.

Scores of different approaches have no common unit. So each is turned into ``-log p``, where p is
the share of held-out healthy voxels that score at least as high in the same approach, and these are
summed with weights: Fisher's combination of tests (Fisher 1925), without its chi-squared law, which
would need independent tests. Or the least of them counts, so that a voxel must be rare in every
part: a conjunction by the minimum statistic (Nichols et al. 2005). What is fused are filtered maps:
their sign prior, mask and median are applied, so a voxel on the wrong side of a prior has a score
of 0, p = 1, and adds nothing.

p is never 0: the voxel itself is counted among the healthy ones (Phipson and Smyth 2010). Beyond
the highest healthy scores all would be alike; there the largest scores are continued by an
exponential tail (peaks over threshold: Davison and Smith 1990, shape 0, assumed), so that a
brighter lesion still scores higher.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from normscan.errors import NormscanError
from normscan.files import atomic_path
from normscan.postprocessing.histograms import BINS, bin_edges, load_arrays, score_bins

# Slices on either side that count as the same position, and voxels that they must hold for a tail
# probability of their own; both assumed.
WINDOW = 2
FEWEST_VOXELS = 10_000
# Healthy voxels that a tail is fitted to at least, whatever share of all they are; assumed.
FEWEST_IN_TAIL = 30


@dataclass(frozen=True)
class HealthyScores:
    """Scores of one approach on held-out healthy scans, by axial slice.

    Attributes
    ----------
    counts : int64 (slices of the slice grid, bins): voxels by score (``histograms.score_bins``).
    present : bool (scans, slices): which slices each scan has scores in.
    scans : their names, ``cohort/scan``.
    """

    counts: np.ndarray
    present: np.ndarray
    scans: tuple[str, ...]

    def without(self, scans: Collection[str], counts: np.ndarray) -> HealthyScores:
        """The others, when ``counts`` of some scans are taken away.

        A healthy scan is not compared with itself: thresholds found on it would be too low.
        """
        kept = [number for number, name in enumerate(self.scans) if name not in scans]
        return HealthyScores(
            self.counts - counts, self.present[kept], tuple(self.scans[number] for number in kept)
        )

    @cached_property
    def voxels(self) -> int:
        """How many voxels there are."""
        return int(self.counts.sum())


def slice_counts(score: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Voxels of a region by slice and score, int64 (slices, bins).

    Parameters
    ----------
    score : (x, y, z) float, >= 0, finite.
    region : (x, y, z) bool.
    """
    depth = score.shape[2]
    z = np.broadcast_to(np.arange(depth), score.shape)[region]
    place = z * BINS + score_bins(score[region])
    return np.bincount(place, minlength=depth * BINS).reshape(depth, BINS)


def healthy_scores(scans: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> HealthyScores:
    """Scores of several scans together.

    Parameters
    ----------
    scans : name, score and region of each; volumes as of :func:`slice_counts`, all of one grid.

    Raises
    ------
    NormscanError : no scan has a voxel in its region.
    """
    names, present, counts = [], [], None
    for name, score, region in scans:
        own = slice_counts(score, region)
        counts = own if counts is None else counts + own
        names.append(name)
        present.append(region.any(axis=(0, 1)))
    if counts is None or not counts.any():
        raise NormscanError(
            "no held-out healthy scan has scores to compare with; give healthy cohorts validation "
            "subjects (config.split.healthy_validation)"
        )
    return HealthyScores(counts, np.array(present), tuple(names))


def save_healthy(path: str | Path, healthy: HealthyScores) -> None:
    """Write scores of healthy scans, empty bins left out (NumPy, no objects)."""
    z, bins = np.nonzero(healthy.counts)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            scans=np.array(healthy.scans, dtype=np.str_),
            present=healthy.present,
            z=z.astype(np.int32),
            bins=bins.astype(np.int32),
            voxels=healthy.counts[z, bins],
        )


def load_healthy(path: str | Path) -> HealthyScores:
    """Read what :func:`save_healthy` wrote. NormscanError when missing or broken."""
    scans, present, z, bins, voxels = load_arrays(path, "scans", "present", "z", "bins", "voxels")
    counts = np.zeros((present.shape[1], BINS), np.int64)
    counts[z, bins] = voxels
    return HealthyScores(counts, present, tuple(map(str, scans)))


def rarity(counts: np.ndarray, tail: float) -> np.ndarray:
    """``-log p`` (natural logarithm) of every bin, float32 of the same shape, never falling.

    p = (1 + voxels that score at least as high) / (1 + voxels), so that a score of 0 has 0. From
    the bin on above which a share ``tail`` of the voxels lies (at least :data:`FEWEST_IN_TAIL`), p
    falls exponentially with the score: the mean excess of these voxels is its scale.

    Parameters
    ----------
    counts : (..., bins) voxels by score.
    tail : share of voxels to which the tail is fitted, 0 to 1; 0: none, and all scores above the
        highest are equally rare.
    """
    at_least = np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]
    total = at_least[..., :1]
    found = np.log1p(total) - np.log1p(at_least)
    if tail > 0:
        found = _with_tail(found, counts, at_least, np.maximum(tail * total, FEWEST_IN_TAIL))
    return found.astype(np.float32)


def _with_tail(
    found: np.ndarray, counts: np.ndarray, at_least: np.ndarray, most: np.ndarray
) -> np.ndarray:
    """``found`` with an exponential tail above the first bin that ``most`` voxels or fewer reach.

    Where no voxel scores above 0 in that bin or beyond there is nothing to fit, and no tail.
    """
    scores = np.r_[0.0, bin_edges()[:-1].astype(float)]
    scores[1] = 2.0**-20  # Bin 1 begins above 0; as low as its usual scores are.
    reached = np.maximum((at_least <= most).argmax(axis=-1), 1)[..., None]
    beyond = np.arange(BINS) >= reached
    inside = np.take_along_axis(at_least, reached, -1)
    start = scores[reached]
    excess = np.sum(np.where(beyond, counts * (scores - start), 0.0), axis=-1, keepdims=True)
    # Scores that all fall into one bin have no excess: the width of a bin is what can be told.
    scale = np.maximum(excess / np.maximum(inside, 1), start * 2.0**-11)
    rising = np.take_along_axis(found, reached, -1) + (scores - start) / scale
    return np.where(beyond & (inside > 0), rising, found)


def slices_of_their_own(healthy: HealthyScores, least_scans: int) -> np.ndarray:
    """Which axial slices have healthy scores enough of their own, bool (slices,).

    Parameters
    ----------
    least_scans : scans that must have scores in the slice; 0: no slice is on its own. Its window of
        :data:`WINDOW` slices on either side must also hold :data:`FEWEST_VOXELS` voxels.
    """
    voxels = _near(healthy) @ healthy.counts.sum(axis=1)
    seen = healthy.present.sum(axis=0) >= least_scans
    return seen & (voxels >= FEWEST_VOXELS) & (least_scans > 0)


def rarity_by_slice(healthy: HealthyScores, own: np.ndarray, tail: float) -> np.ndarray:
    """:func:`rarity` for every axial slice, float32 (slices, bins).

    In atlas space a slice is a position in the head.

    Parameters
    ----------
    own : bool (slices,), those compared with their window of slices (:func:`slices_of_their_own`);
        the others are compared with the voxels of all slices.
    tail : as of :func:`rarity`.
    """
    tables = np.repeat(rarity(healthy.counts.sum(axis=0), tail)[None], len(own), axis=0)
    # One slice at a time: tables of all at once would be held four times over.
    for z, near in zip(np.flatnonzero(own), _near(healthy)[own], strict=True):
        if (counts := healthy.counts[near].sum(axis=0)).any():
            tables[z] = rarity(counts, tail)
    return tables


def _near(healthy: HealthyScores) -> np.ndarray:
    """Which slices are in the window of which, bool (slices, slices)."""
    numbers = np.arange(len(healthy.counts))
    return np.abs(np.subtract.outer(numbers, numbers)) <= WINDOW


def rarity_map(score: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """A filtered map (x, y, z) as ``-log p``, float32, >= 0.

    Parameters
    ----------
    tables : (slices, bins) of :func:`rarity_by_slice`.
    """
    return tables[np.arange(score.shape[2]), score_bins(score)]


def weighted_sum(maps: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Maps of one shape, float32, summed in their order with weights."""
    total = np.zeros(maps[0].shape, np.float32)
    for one, weight in zip(maps, weights, strict=True):
        total += np.float32(weight) * one
    return total


def combined(
    maps: Sequence[np.ndarray], parts: Sequence[str], weights: Sequence[float], how: str
) -> np.ndarray:
    """Maps of ``-log p`` as one, float32.

    Parameters
    ----------
    maps : of one shape.
    parts : which part each is of; the maps of one part are of several seeds.
    weights : of each map.
    how : ``sum``: of all, with weights; ``minimum``: of the parts, each the mean over its seeds.
    """
    if how == "sum":
        return weighted_sum(maps, weights)
    means = []
    for name in dict.fromkeys(parts):
        own = [one for one, part in zip(maps, parts, strict=True) if part == name]
        means.append(weighted_sum(own, [1 / len(own)] * len(own)))
    return np.minimum.reduce(means)
