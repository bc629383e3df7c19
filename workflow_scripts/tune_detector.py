"""Find the detector settings that are ``auto`` on healthy validation scans (no labels used)."""

from job import run
from normscan.cohorts.subjects import chosen_scans
from normscan.compute.devices import prepare_torch
from normscan.detectors.applied import Applied, used_files
from normscan.detectors.base import Tunes
from normscan.files import write_json
from normscan.slices.index import load_index
from normscan.streams import LESION_FREE


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    device = prepare_torch(params.device, snakemake.threads)
    applied = Applied(
        params.detector,
        params.settings,
        device,
        weights=files.weights,
        bundle=files.bundle,
        used=used_files(files, params.uses),
    )
    contrasts = load_index(files.packs[0]).contrasts
    scans = chosen_scans(files.subjects, "validation")
    # Where models are trained on lesion-free slices of patients, those are what is healthy.
    healthy = applied.store(files.packs, contrasts, scans, LESION_FREE)
    detector = applied.prepare(contrasts)
    assert isinstance(detector, Tunes)
    settings, record = detector.tune(healthy)
    write_json(snakemake.output.tuned, {"settings": settings, **record})


run(snakemake, main)
