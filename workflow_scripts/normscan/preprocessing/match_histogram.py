"""Histogram matching: a scan gets the distribution of intensities of a reference scan.

Source: You et al. 2019 (all scans matched to one healthy subject). Only voxels of the brains count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from normscan.errors import ScanError
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.images import change_images
from normscan.preprocessing.volumes import Prepared

SETTINGS = {"reference": None}


def run(
    prepared: Prepared,
    folder: Path,
    *,
    seed: int,
    reference: str | None = None,
    reference_images: Mapping[str, str],
    reference_brain: str = "",
) -> Prepared:
    """Match every volume of a scan to the reference's volume of the same contrast.

    Parameters
    ----------
    reference : how the configuration names the reference; not used here.
    reference_images : contrast -> volume of the reference after the same steps.
    reference_brain : its brain mask; "": voxels that are not zero.

    Raises
    ------
    ScanError : the reference lacks a contrast of the scan.
    """

    def change(contrast: str, data: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        if contrast not in reference_images:
            there = ", ".join(sorted(reference_images)) or "none"
            raise ScanError(
                prepared.scan,
                prepared.images[contrast],
                f"cannot be matched: the reference has no contrast '{contrast}' (it has: {there})",
                "choose a reference that has all contrasts of the protocol",
            )
        wanted, _ = read_volume(reference_images[contrast])
        inside = read_mask(reference_brain)[0] if reference_brain else wanted != 0
        result = np.zeros_like(data)
        result[brain] = matched(data[brain], wanted[inside])
        return result

    return change_images(prepared, folder, "match_histogram", change)


def matched(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values (n,) mapped monotonically so that their distribution is that of ``wanted`` (m,).

    Same as ``skimage.exposure.match_histograms``; equal values stay equal.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    levels, level_counts = np.unique(wanted, return_counts=True)
    quantiles = np.cumsum(counts) / values.size
    level_quantiles = np.cumsum(level_counts) / wanted.size
    return np.interp(quantiles, level_quantiles, levels)[places].astype(np.float32)
