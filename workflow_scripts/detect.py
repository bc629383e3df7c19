"""Anomaly maps of the scans of one shard."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from job import run
from normscan.compute.devices import prepare_torch
from normscan.detectors.applied import Applied
from normscan.detectors.base import Detection
from normscan.detectors.maps import brain_rows, write_maps
from normscan.files import read_json, read_tsv
from normscan.progress import progress
from normscan.slices.index import PackIndex, ScanEntry, load_index, open_array, open_layer

FACTS = ("cohort", "shard", "approach", "chain", "pack", "training")


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    device = prepare_torch(params.device, snakemake.threads)
    settings = dict(params.settings)
    if files.get("tuned"):
        settings |= read_json(files.tuned)["settings"]
    index = load_index(files.index)
    applied = Applied(params.detector, settings, int(w.seed), device, index.contrasts)
    if files.get("bundle"):
        applied.load_model(Path(files.weights), Path(files.bundle))
        applied.refuse_other_scans(index)
    scans = index.scans
    if files.get("subjects"):
        table = read_tsv(files.subjects, dtype=str)
        chosen = set(table[table["split"] == "validation"]["scan"])
        scans = [scan for scan in scans if scan.scan in chosen]
    facts = {
        **{name: value for name, value in w.items() if name in FACTS},
        "seed": int(w.seed),
        "settings": settings,
        "contrast": index.contrasts[0],
        "index": str(files.index),
    }
    found = detections(applied, index, files.index, progress(scans, f"{w.approach} maps"))
    write_maps(snakemake.output[0], facts, index, scans, found)


def detections(
    applied: Applied, index: PackIndex, path: str, scans: Iterable[ScanEntry]
) -> Iterator[Detection]:
    """What is found in each scan, one after the other."""
    slices, brain = open_array(path), open_layer(path, "brain")
    for scan in scans:
        rows = brain_rows(index, scan)
        yield applied.detect(slices[rows], brain[rows] > 0)


run(snakemake, main)
