"""What can be made again takes room: how much each stage holds, and removing intermediates.

Intermediates are what only later stages read: images after each preprocessing step, arrays of
anomaly maps, of reconstructions and of filtered maps. Their manifests go with them, so that
Snakemake makes them again when, and only when, something asks for them. Everything else stays:
transforms and masks, slice packs with their layers, models, histograms of scores and of residuals,
volumes that the configuration asks for, tables, figures, bundles, reports, and whatever screening
found. So metrics can be computed again without any map.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from normscan.digests import forget
from normscan.errors import NormscanError
from normscan.files import is_partial, read_json
from normscan.layout import (
    CONVERTED,
    DETECTED,
    DETECTIONS,
    EXPORTED,
    FILTERED,
    FILTERED_ARRAY,
    MAP_ARRAY,
    MAP_MANIFEST,
    MODEL,
    PREPARED,
    PREPARED_FOLDER,
    RAW,
    RESIDUALS,
    SIMULATED,
    SLICES,
    SYNTHETIC,
    parse,
    pattern,
)

# In the order in which they are made.
STAGES = tuple(
    template.split("/")[0]
    for template in (
        SIMULATED,
        CONVERTED,
        SYNTHETIC,
        PREPARED,
        SLICES,
        MODEL,
        MAP_MANIFEST,
        DETECTIONS,
        EXPORTED,
    )
)
DESCRIPTION = "dataset_description.json"
RECORD = "record.json"


def stage_sizes(results: str | Path) -> dict[str, tuple[int, int]]:
    """(files, bytes) of every stage that is there."""
    found = {}
    for stage in STAGES:
        sizes = list(_file_sizes(Path(results, stage)))
        if sizes:
            found[stage] = (len(sizes), sum(sizes))
    return found


def _file_sizes(folder: Path) -> Iterator[int]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            # What a killed job left counts for nothing: equal runs give equal reports.
            if is_partial(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _file_sizes(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry.stat(follow_symlinks=False).st_size


def intermediates(results: str | Path) -> Iterator[Path]:
    """Files that :func:`remove_intermediates` removes; manifests before what they name."""
    results = Path(results)
    residuals = set(results.glob(pattern(RESIDUALS)))
    # Lists of detections name the arrays that figures are drawn from.
    for template in (DETECTED, FILTERED, FILTERED_ARRAY, MAP_MANIFEST, MAP_ARRAY):
        yield from sorted(set(results.glob(pattern(template))) - residuals)
    for cohort in sorted(results.glob(pattern(PREPARED_FOLDER))):
        if parse(PREPARED_FOLDER, cohort)["chain"] != RAW:
            yield from _preprocessed(cohort)


def remove_intermediates(results: str | Path) -> tuple[int, int]:
    """Remove all intermediates of a results folder; (files, bytes) that went."""
    files = size = 0
    going = list(intermediates(results))
    forget(results, going)
    for path in going:
        size += path.lstat().st_size
        files += 1
        path.unlink()
    return files, size


def remove_partial(results: str | Path) -> None:
    """Remove what killed jobs left incomplete; none may be at work."""
    for folder, folders, files in os.walk(results):
        for name in filter(is_partial, files):
            Path(folder, name).unlink(missing_ok=True)
        for name in filter(is_partial, list(folders)):
            shutil.rmtree(Path(folder, name), ignore_errors=True)
            folders.remove(name)


def _preprocessed(cohort: Path) -> Iterator[Path]:
    """Manifests, records and images of a cohort after a step."""
    yield from sorted(path for path in cohort.glob("*.json") if path.name != DESCRIPTION)
    for record in sorted(cohort.glob(f"*/{RECORD}")):
        try:
            images = read_json(record)["entry"]["images"].values()
        except (NormscanError, KeyError):
            continue
        yield record
        own = [Path(path) for path in images if Path(path).parent == record.parent.absolute()]
        yield from sorted(path for path in own if path.is_file())
