"""Find the detector settings that are ``auto`` on healthy validation scans (no labels used)."""

from pathlib import Path

from approach import Applied
from job import run
from normscan.files import write_json
from normscan.networks.devices import prepare_torch
from normscan.slices.store import SliceStore
from subjects import chosen_scans


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
