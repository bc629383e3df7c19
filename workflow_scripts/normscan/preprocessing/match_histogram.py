"""Histogram matching: a scan gets the distribution of intensities of a reference scan.

Source: You et al. 2019, section 3.1: scans of patients are matched to one subject, drawn from the
healthy ones that models are trained on. Only voxels of the brains count.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from normscan.errors import NormscanError, ScanError
from normscan.preprocessing.grids import Grid, read_mask, read_volume
from normscan.preprocessing.images import change_images
from normscan.preprocessing.volumes import Prepared

SETTINGS = {"reference": "healthy", "scans": "all"}
ALLOWED = {"scans": ["all", "not_healthy"]}
MEANING = {
    "reference": "healthy: a training subject, drawn by the seed of the splits; or one by its "
    "name, cohort/sub-LABEL",
    "scans": "which are matched; the others stay as they are. The paper matches patients only",
}


def run(
    prepared: Prepared,
    folder: Path,
    *,
    seed: int,
    reference: str = "healthy",
    scans: str = "all",
    role: str = "",
    reference_images: Mapping[str, str],
    reference_brain: str = "",
) -> Prepared:
    """Match every volume of a scan to the reference's volume of the same contrast.

    Parameters
    ----------
    reference : how the configuration names the reference; for the message.
    scans : ``all``, or only the ``not_healthy`` ones.
    role : of the scan's cohort.
    reference_images : contrast -> volume of the reference after the same steps.
    reference_brain : its brain mask; "": voxels that are not zero.

    Raises
    ------
    ScanError : the reference lacks a contrast of the scan.
    """

    def change(contrast: str, data: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        if scans == "not_healthy" and role == "healthy":
            return data
        if contrast not in reference_images:
            there = ", ".join(sorted(reference_images)) or "none"
            raise ScanError(
                prepared.scan,
                prepared.images[contrast],
                f"cannot be matched: the reference {reference} has no contrast '{contrast}' (it "
                f"has: {there})",
                "choose a reference that has all contrasts of the protocol",
            )
        wanted, _ = read_volume(reference_images[contrast])
        inside = read_mask(reference_brain)[0] if reference_brain else wanted != 0
        result = np.zeros_like(data)
        result[brain] = matched(data[brain], wanted[inside])
        return result

    return change_images(prepared, folder, "match_histogram", change)


def reference_files(
    reference: str, manifest: Mapping[str, Any], subjects: pandas.DataFrame
) -> tuple[dict[str, str], str]:
    """Volumes and brain mask of the reference after the steps before.

    Parameters
    ----------
    reference : ``cohort/scan``.
    manifest : of its shard.
    subjects : splits of its cohort.

    Raises
    ------
    NormscanError : the scan was left out, or is none that models are trained on.
    """
    key, scan = "match_histogram.reference", reference.partition("/")[2]
    advice = "name another healthy training subject there (COHORT/sub-LABEL)"
    reasons = {one["scan"]: one["reason"] for one in manifest["excluded"]}
    found = [one for one in manifest["scans"] if one["scan"] == scan]
    if not found:
        reason = f": {reasons[scan]}" if scan in reasons else ""
        raise NormscanError(f"{key}: scan '{reference}' was left out{reason}; {advice}")
    split = dict(zip(subjects["scan"], subjects["split"])).get(scan, "")
    if split != "train":
        raise NormscanError(
            f"{key}: scan '{reference}' is of split '{split}', not one that models are trained on; "
            f"{advice}"
        )
    return found[0]["images"], found[0]["brain"]


def matched(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values (n,) mapped monotonically so that their distribution is that of ``wanted`` (m,).

    Same as ``skimage.exposure.match_histograms``; equal values stay equal.
    """
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    levels, level_counts = np.unique(wanted, return_counts=True)
    quantiles = np.cumsum(counts) / values.size
    level_quantiles = np.cumsum(level_counts) / wanted.size
    return np.interp(quantiles, level_quantiles, levels)[places].astype(np.float32)
