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
        if not is_kept(record, key, folder):
            simulate_scan(folder, subject, cohort=cohort, **settings)
            write_json(record, {"key": key, "files": written(folder, subject)})
        done[subject] = key
    write_json(snakemake.output[0], done)


def is_kept(record: Path, key: str, folder: Path) -> bool:
    """Whether a subject was simulated like this before, and all of its files are still there."""
    if not record.exists():
        return False
    content = read_json(record)
    files = content.get("files")
    return content["key"] == key and bool(files) and all((folder / one).is_file() for one in files)


def written(folder: Path, subject: str) -> list[str]:
    """A subject's volumes, relative to the folder."""
    roots = (folder, folder / "derivatives" / "truth")
    found = [path for root in roots for path in (root / f"sub-{subject}").rglob("*.nii.gz")]
    return sorted(str(path.relative_to(folder)) for path in found)


run(snakemake, main)
