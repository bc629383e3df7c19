"""Anomaly maps of the scans of one shard."""

from pathlib import Path

from job import run
from normscan.compute.devices import prepare_torch
from normscan.detectors.applied import Applied
from normscan.files import read_json, read_tsv, write_json
from normscan.progress import progress
from normscan.slices.index import load_index, open_array


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    device = prepare_torch(params.device, snakemake.threads)
    settings = dict(params.settings)
    if files.get("tuned"):
        settings |= read_json(files.tuned)["settings"]
    applied = Applied(params.detector, settings, int(snakemake.wildcards.seed), device)
    index = load_index(files.index)
    if files.get("bundle"):
        applied.load_model(Path(files.weights), Path(files.bundle))
        applied.refuse_other_scans(index)
    slices = open_array(files.index)
    scans = index.scans
    if files.get("subjects"):
        table = read_tsv(files.subjects, dtype=str)
        chosen = set(table[table["split"] == "validation"]["scan"])
        scans = [scan for scan in scans if scan.scan in chosen]
    done = {
        scan.scan: applied.maps(slices, index, scan, Path(params.folder, scan.scan))
        for scan in progress(scans, f"{snakemake.wildcards.approach} maps")
    }
    write_json(snakemake.output[0], {"settings": settings, "scans": done})


run(snakemake, main)
