"""Anomaly maps of the scans of one shard."""

from collections.abc import Iterable, Iterator

from job import run
from normscan.compute.devices import prepare_torch
from normscan.detectors.applied import Applied, used_files
from normscan.detectors.base import Detection
from normscan.detectors.maps import write_maps
from normscan.files import read_json, read_tsv
from normscan.progress import progress
from normscan.slices.index import PackIndex, ScanEntry, load_index

FACTS = ("cohort", "shard", "approach", "chain", "pack", "training")


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    device = prepare_torch(params.device, snakemake.threads)
    settings = dict(params.settings)
    if files.get("tuned"):
        settings |= read_json(files.tuned)["settings"]
    index, seed = load_index(files.index), int(w.seed)
    applied = Applied(
        params.detector,
        settings,
        device,
        weights=files.get("weights"),
        bundle=files.get("bundle"),
        used=used_files(files, params.uses),
    )
    applied.refuse_other_scans(index)
    scans = index.scans
    if files.get("subjects"):
        table = read_tsv(files.subjects, dtype=str)
        chosen = set(table[(table["split"] == "train") == params.others]["scan"])
        scans = [scan for scan in scans if scan.scan in chosen]
    facts = {
        **{name: value for name, value in w.items() if name in FACTS},
        "seed": seed,
        "settings": settings,
        "contrast": applied.view(index.contrasts).targets[0],
        "index": str(files.index),
    }
    found = detections(applied, index, files.index, progress(scans, f"{w.approach} maps"), seed)
    write_maps(snakemake.output[0], facts, index, scans, found)


def detections(
    applied: Applied, index: PackIndex, path: str, scans: Iterable[ScanEntry], seed: int
) -> Iterator[Detection]:
    """What is found in each scan, one after the other."""
    detector = store = None
    for scan in scans:
        if detector is None or store is None:  # A shard may have no scan to look at.
            detector = applied.prepare(index.contrasts)
            store = applied.store([path], index.contrasts)
        yield detector.detect(store.scan(f"{index.cohort}/{scan.scan}"), seed)


run(snakemake, main)
