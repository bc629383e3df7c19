"""What screening does with a scan once it has a filtered map, and what it says of the shard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from normscan.errors import BundleError
from normscan.files import file_digest, inside, write_tsv
from normscan.postprocessing.detections import detect_components, write_volumes
from normscan.postprocessing.exported import DIGEST
from normscan.postprocessing.slice_rules import Point, operating_point, point_record
from normscan.postprocessing.told import HEALTHY_ML, TRAINED_ON
from normscan.slices.index import PackIndex, ScanEntry, differences

# Whoever screens wants the results in the scans' own space, whatever the configuration says.
VOLUMES = {"detections": "native", "maps": "native", "reconstructions": "none"}
VOLUMES["uncertainties"] = "native"


def check_files(folder: Path, record: Mapping[str, Any]) -> None:
    """BundleError when a file of a bundle is missing, or not the one it was made with."""
    for name, digest in record["files"].items():
        path = inside(folder, name)
        if not path.is_file():
            raise BundleError(f"{path}: missing; export the bundle again")
        if file_digest(path) != digest:
            raise BundleError(f"{path}: changed since the bundle was made; export it again")


def check_scans(folder: Path, record: Mapping[str, Any], index: PackIndex) -> None:
    """BundleError when scans were not preprocessed as those that the bundle was made from."""
    unlike = differences(record["fingerprint"], index.settings)
    if unlike:
        raise BundleError(
            f"{folder}: the scans of cohort '{index.cohort}' were preprocessed "
            "differently from those that this bundle was made from:\n"
            + "\n".join(f"  - {line}" for line in unlike)
        )


def chosen_point(record: Mapping[str, Any], prior: str, folder: Path) -> tuple[str, Point]:
    """The rule to detect with under a cohort's prior, and what it detects with."""
    thresholds = record["thresholds"].get(prior, {})
    points = {label: operating_point(one) for label, one in thresholds.items()}
    usable = {label: point for label, point in points.items() if point is not None}
    if not usable:
        raise BundleError(
            f"{folder}: has no threshold for prior '{prior}', only for "
            f"{', '.join(sorted(record['thresholds'])) or 'none'}"
        )
    rule = record["primary_rule"] if record["primary_rule"] in usable else next(iter(usable))
    return rule, usable[rule]


def mark(
    folder: Path,
    scan: ScanEntry,
    contrast: str,
    filtered: np.ndarray,
    point: Point,
    minimum_voxels: int,
    uncertainty: np.ndarray | None = None,
) -> dict[str, str]:
    """Detect in a filtered map; write components and volumes.

    Parameters
    ----------
    folder : for the files of all scans; each has one of its own in it.
    contrast : whose grid the native volumes have.
    filtered, uncertainty : (x, y, z) on the slice grid.
    minimum_voxels : of a component.

    Returns
    -------
    kind -> file, ``components`` among them.
    """
    own = folder / scan.scan
    components = own / f"{scan.scan}_components.tsv"
    found = detect_components(filtered, point, minimum_voxels, scan, contrast)
    write_tsv(components, found.components)
    written = write_volumes(
        own, scan, contrast, VOLUMES, found=found, filtered=filtered, uncertainty=uncertainty
    )
    return {**written, "components": str(components)}


def shard_record(
    facts: Mapping[str, Any],
    written: Mapping[str, Mapping[str, str]],
    record: Mapping[str, Any],
    variant: str,
    prior: str,
    rule: str,
    **others: Any,
) -> dict[str, Any]:
    """The manifest of a screened shard.

    Parameters
    ----------
    facts : of the writer of its maps.
    written : scan -> what :func:`mark` returned.
    record : of the bundle.
    variant : that it is of.
    prior, rule : detected with.
    others : what else the manifest says.
    """
    scans = {scan: {**place, **written[scan]} for scan, place in facts["scans"].items()}
    said = ("protocol", "title", "model", "detector", "expected")
    return {
        **facts,
        "scans": scans,
        "approach": {"variant": variant, **{key: record[key] for key in said}},
        "seed": record["seed"],
        "rule": rule,
        **point_record(record["thresholds"][prior][rule]),
        "minimum_voxels": record["postprocessing"]["minimum_voxels"],
        "thresholds": record["thresholds"][prior],
        "bundle": about(record, prior, rule),
        "postprocessing": record["postprocessing"],
        **others,
    }


def about(record: Mapping[str, Any], prior: str, rule: str) -> dict[str, Any]:
    """What pages say of the bundle; None for what it does not know."""
    return {
        "digest": record[DIGEST],
        "format": record.get("format", 1),
        HEALTHY_ML: record.get(HEALTHY_ML, {}).get(prior, {}).get(rule),
        TRAINED_ON: record.get(TRAINED_ON),
    }
