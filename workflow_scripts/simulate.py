"""Simulate the scans of one shard of a simulated cohort, as a BIDS folder."""

from pathlib import Path

from job import run
from normscan.cohorts.simulation.simulate import simulate_scan, write_description
from normscan.files import read_json, value_digest, write_json
from normscan.progress import progress


def main(snakemake) -> None:
    settings = snakemake.params.settings
    folder = Path(snakemake.params.folder)
    cohort = snakemake.wildcards.cohort
    write_description(folder)
    done = {}
    for subject in progress(snakemake.params.scans, f"simulating {cohort}"):
        key = value_digest([snakemake.params.code, cohort, subject, settings])
        record = folder / f"sub-{subject}" / ".simulated.json"
        if not (record.exists() and read_json(record)["key"] == key):
            simulate_scan(folder, subject, cohort=cohort, **settings)
            write_json(record, {"key": key})
        done[subject] = key
    write_json(snakemake.output[0], done)


run(snakemake, main)
