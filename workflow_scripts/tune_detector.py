"""Find the detector settings that are ``auto`` on healthy validation scans (no labels used)."""

from pathlib import Path

from job import run
from normscan.cohorts.subjects import chosen_scans
from normscan.compute.devices import prepare_torch
from normscan.detectors.applied import Applied
from normscan.files import write_json
from normscan.slices.store import SliceStore


def main(snakemake) -> None:
    params = snakemake.params
    device = prepare_torch(params.device, snakemake.threads)
    seed = int(snakemake.wildcards.seed)
    applied = Applied(params.detector, params.settings, seed, device)
    applied.load_model(Path(snakemake.input.weights), Path(snakemake.input.bundle))
    healthy = SliceStore(
        [Path(path) for path in snakemake.input.packs],
        chosen_scans(snakemake.input.subjects, "validation"),
    )
    settings, record = applied.detector.tune(
        applied.model, healthy, seed=seed, device=device, **params.settings
    )
    write_json(snakemake.output.tuned, {"settings": settings, **record})


run(snakemake, main)
