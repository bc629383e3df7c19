"""Simulate the scans of one shard of a simulated cohort, as a BIDS folder."""

from pathlib import Path

from job import run
from normscan.cohorts.records import is_kept
from normscan.cohorts.simulation.simulate import simulate_scan, write_description
from normscan.files import file_digests, value_digest, write_json
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
        if not is_kept(record, key, folder):
            simulate_scan(folder, subject, cohort=cohort, **settings)
            files = file_digests(folder, written(folder, subject))
            write_json(record, {"key": key, "files": files})
        done[subject] = key
    write_json(snakemake.output[0], done)


def written(folder: Path, subject: str) -> list[str]:
    """A subject's volumes, relative to the folder."""
    roots = (folder, folder / "derivatives" / "truth")
    found = [path for root in roots for path in (root / f"sub-{subject}").rglob("*.nii.gz")]
    return sorted(str(path.relative_to(folder)) for path in found)


run(snakemake, main)
