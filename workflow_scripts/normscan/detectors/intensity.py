"""Training-free baseline: how bright a voxel is among the brain's voxels of its scan.

Two forms, of one contrast or of the difference of several:

``rank``: the share of the scan's brain voxels that are at most as bright. Source: Meissen et al.
2021, "Challenging Current Semi-Supervised Anomaly Segmentation Methods for Brain MRI": the
histogram of the scan is equalised, the result thresholded. Here the equalisation is exact, without
bins, and over brain voxels only, so that neither the background nor the number of bins counts.

``scaled``: divided by the brain's median, how far above or below it. Source: none of the papers; on
real FLAIR it does better than the rank, which a large lesion moves in all healthy tissue
(docs/intensities.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from normscan.detectors.base import BRAIN, Detection
from normscan.errors import ConfigError, NormscanError
from normscan.preprocessing.robust import USUAL_NEGATIVE, brain_median, without_bright
from normscan.slices.batch import Batch

TITLE = "the training-free intensity baseline"
CITE = ["meissen2021"]
LINE = "solid"
BASELINE = True
NEEDS = set()
SETTINGS = {"contrast": "FLAIR", "direction": "bright", "form": "rank", "minus": {}}
ALLOWED = {
    "contrast": "a contrast",
    "direction": ["bright", "dark", "both"],
    "form": ["rank", "scaled"],
    "minus": {"a contrast": ">0.."},
}
TOGETHER = {
    "contrast not in minus": "is subtracted from itself; name other contrasts in minus",
}
MEANING = {
    "contrast": "that is looked at",
    "direction": "what is abnormal: bright (white matter lesions, tumours on FLAIR), dark (the "
    "same on T1w), or both",
    "form": "rank: share of brain voxels that are at most as bright; scaled: over the brain's "
    "median",
    "minus": "contrast -> weight of what is subtracted, all divided by their medians first: {T1w: "
    "0.25}",
}
SIGNED = True
# A rank, or a distance to the median: nothing is reconstructed.
RESIDUAL = False


class Intensity:
    """Brightness among the brain voxels of the scan, with a sign.

    Raises
    ------
    ConfigError : the slices lack a contrast, there is no such direction or form, or a contrast is
        to be subtracted from itself.
    """

    def __init__(
        self,
        model: None,
        *,
        device: Any = None,
        contrasts: Sequence[str],
        contrast: str,
        direction: str,
        form: str,
        minus: Mapping[str, float],
    ):
        for key, found in (("direction", direction), ("form", form)):
            if found not in ALLOWED[key]:
                raise ConfigError(f"{key}: found '{found}'; allowed: {', '.join(ALLOWED[key])}")
        if contrast in minus:
            raise ConfigError(
                f"minus: found '{contrast}', the contrast that is looked at; name others"
            )
        self.direction, self.form, self.contrast = direction, form, contrast
        self.channel = _channel("contrast", contrast, contrasts)
        self.minus = {
            name: (_channel("minus", name, contrasts), weight) for name, weight in minus.items()
        }

    def detect(self, scan: Batch[np.ndarray], seed: int = 0) -> Detection:
        """A map, 0 outside of the brain. No reconstruction.

        ``rank``: in [0, 1], never negative; with direction ``dark`` in [-1, 0], the share of voxels
        that are at most as dark; ``both``: the share that is at most as bright less that at most as
        dark, in [-1, 1]. ``scaled``: in medians, 0 at the median; ``bright`` and ``dark`` keep
        what is above and below.

        Parameters
        ----------
        seed : not used.

        Raises
        ------
        NormscanError : intensities whose median is needed are negative or 0 (z-scores).
        """
        brain = scan.layers[BRAIN] > 0
        scores = np.zeros(brain.shape, np.float32)
        if brain.any():
            values = self._values(np.asarray(scan.targets), brain)
            of = {"rank": ranked, "scaled": above_median}[self.form]
            scores[brain] = of(values, self.direction)
        return Detection(scores)

    def _values(self, slices: np.ndarray, brain: np.ndarray) -> np.ndarray:
        """What is looked at (n,): the contrast, by medians where the form or a difference asks."""
        values = slices[:, self.channel][brain]
        if self.form == "rank" and not self.minus:
            return values
        values = _by_median(values, self.contrast)
        for name, (channel, weight) in self.minus.items():
            values = values - weight * _by_median(slices[:, channel][brain], name)
        return values


def ranked(values: np.ndarray, direction: str) -> np.ndarray:
    """Ranks (n,) of values (n,) with the direction's sign."""
    if direction == "bright":
        return equalise(values)
    dark = -equalise(-values)
    return dark if direction == "dark" else equalise(values) + dark


def above_median(values: np.ndarray, direction: str) -> np.ndarray:
    """Values (n,) less their median, bright lesions set aside; ``both``: on both sides of it."""
    difference = values - np.median(without_bright(values))
    if direction == "both":
        return difference
    return np.maximum(difference, 0) if direction == "bright" else np.minimum(difference, 0)


def equalise(values: np.ndarray) -> np.ndarray:
    """Share of all ``values`` (n,) that are at most as large as each; ties share theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) / max(1, len(values)))[place].astype(np.float32)


def _by_median(values: np.ndarray, contrast: str) -> np.ndarray:
    """Values (n,) in medians of the brain, which bright lesions do not move."""
    if (values < 0).mean() > USUAL_NEGATIVE:
        raise NormscanError(
            f"the intensities of {contrast} are negative in the brain, as z-scores are; form "
            "'scaled' and 'minus' need some that start at 0: normalise by another method than "
            "'zscore', or take form 'rank' without 'minus'"
        )
    try:
        return values / brain_median(values)
    except ValueError as error:
        raise NormscanError(f"{contrast} {error}; look at the volume") from None


def _channel(key: str, contrast: str, contrasts: Sequence[str]) -> int:
    if contrast not in contrasts:
        raise ConfigError(
            f"{key}: found '{contrast}', but the slices hold {', '.join(contrasts) or 'none'}; "
            "name one of these, or add the contrast to the protocol"
        )
    return list(contrasts).index(contrast)


prepare = Intensity
