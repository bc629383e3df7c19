"""What a training on pseudo-labels must know of them: that there are any, and who made them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from normscan.errors import TrainingError
from normscan.files import value_digest
from normscan.slices.rows import RowReader

LOG = logging.getLogger("normscan")


def described_labels(manifests: Sequence[str | Path], scans: Collection[str]) -> dict[str, Any]:
    """Who made the pseudo-labels of a training, and how many there are.

    Scans without a single one are kept, since they show what is normal.

    Parameters
    ----------
    manifests : of the labels of all shards.
    scans : ``cohort/scan`` of the training.

    Returns
    -------
    facts : ``approach``, ``rule``, ``thresholds`` (cohort -> threshold, None: one per slice),
        ``scans``, ``scans_without`` and ``voxels`` of the training, and ``digest`` of all labels.

    Raises
    ------
    TrainingError : no scan has any, so that there is nothing to be learnt.
    """
    contents = [RowReader(path).content for path in manifests]
    voxels = {
        f"{one['cohort']}/{scan}": found["voxels"]
        for one in contents
        for scan, found in one["scans"].items()
    }
    counts = [voxels[scan] for scan in scans if scan in voxels]
    approach = f"{contents[0]['protocol']}/{contents[0]['variant']}"
    rule = contents[0]["threshold_rule"]
    thresholds = {one["cohort"]: one["threshold"] for one in contents}
    if not any(counts):
        points = {k: "per slice" if v is None else f"{v:.4g}" for k, v in thresholds.items()}
        shown = ", ".join(f"{point} in {cohort}" for cohort, point in points.items())
        raise TrainingError(
            f"no pseudo-label in any of {len(counts)} training scans: approach '{approach}' "
            f"detects nothing in them at rule '{rule}' (threshold {shown}). Name another approach "
            "or a rule with a lower threshold in the model's 'labels', or lower "
            "postprocessing.minimum_voxels"
        )
    empty = counts.count(0)
    LOG.info(
        "pseudo-labels of %s at %s: %d voxels in %d of %d scans; the others are kept as normal",
        approach, rule, sum(counts), len(counts) - empty, len(counts),
    )  # fmt: skip
    return {
        "approach": approach,
        "rule": rule,
        "thresholds": thresholds,
        "scans": len(counts),
        "scans_without": empty,
        "voxels": sum(counts),
        "digest": value_digest([one["digests"] for one in contents]),
    }
