"""Detections in the training and validation scans of a shard, as labels for another model."""

import logging
from pathlib import Path

import numpy as np

from job import run
from normscan.errors import NormscanError
from normscan.evaluation.truth import load_brain
from normscan.files import file_digest, read_tsv, write_json
from normscan.postprocessing.pseudo_labels import healthy_point, pseudo_labels
from normscan.postprocessing.slice_rules import SliceRule
from normscan.progress import progress
from normscan.slices.index import ScanEntry, load_index
from normscan.slices.rows import RowReader, RowWriter
from normscan.streams import PSEUDO

LOG = logging.getLogger("normscan")
SPLITS = ("train", "validation")
FACTS = ("cohort", "shard", "protocol", "variant", "seed", "threshold_rule")


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    rule = params.rule
    point = healthy_point(
        rule["kind"],
        rule["settings"],
        files.healthy,
        params.healthy_cohorts,
        files.healthy_subjects,
        params.prior,
    )
    index, readers = load_index(files.index), [RowReader(path) for path in files.maps]
    table = read_tsv(files.subjects, dtype=str)
    taught = set(table[table["split"].isin(SPLITS)]["scan"])
    counts = {}
    # All rows of the pack, so that the array is one of its layers; scans to be tested have none.
    with RowWriter(snakemake.output[0], index.scans, index.size) as writer:
        for scan in progress([one for one in index.scans if one.scan in taught], "labelling"):
            found = pseudo_labels(
                holding(scan, readers).volume("map", scan),
                load_brain(files.index, scan),
                point,
                np.asarray(scan.affine),
                prior=params.applied_prior,
                erosion=params.postprocessing["erosion"],
                median=params.postprocessing["median"],
                minimum_voxels=params.postprocessing["minimum_voxels"],
            )
            writer.put(PSEUDO, scan.scan, scan.slices_of(found).astype(np.uint8))
            counts[scan.scan] = int(found.sum())
    facts = writer.facts()
    # Other labels are another manifest.
    arrays = [Path(snakemake.output[0]).parent / name for name in facts["arrays"].values()]
    facts["digests"] = [file_digest(path) for path in arrays]
    facts["scans"] = {
        scan: {**facts["scans"][scan], "voxels": count} for scan, count in counts.items()
    }
    LOG.info(
        "%s at %s (%s): %d voxels in %d of %d scans",
        w.variant,
        w.threshold_rule,
        "per slice" if isinstance(point, SliceRule) else f"threshold {point:.4g}",
        sum(counts.values()),
        sum(map(bool, counts.values())),
        len(counts),
    )
    write_json(
        snakemake.output[0],
        {
            **{name: value for name, value in w.items() if name in FACTS},
            "threshold": None if isinstance(point, SliceRule) else point,
            "postprocessing": params.postprocessing,
            "prior": params.prior,
            "index": str(files.index),
            **facts,
        },
    )


def holding(scan: ScanEntry, readers: list[RowReader]) -> RowReader:
    """The maps that a scan is among."""
    for reader in readers:
        if scan.scan in reader.scans:
            return reader
    raise NormscanError(f"{readers[0].path}: no map of {scan.scan}; remove it to make it again")


run(snakemake, main)
