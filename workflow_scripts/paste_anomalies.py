"""Paste lesions on the healthy hosts of one shard of a synthetic cohort, as a BIDS folder."""

from pathlib import Path

import pandas

from job import run
from normscan.cohorts.checks import check_scan
from normscan.cohorts.records import is_kept
from normscan.cohorts.scans import Scan
from normscan.errors import CohortError
from normscan.files import file_digest, read_json, value_digest, write_json, write_tsv
from normscan.preprocessing.naming import write_dataset_description
from normscan.preprocessing.synthesis import synthesise
from normscan.progress import progress


def main(snakemake) -> None:
    params = snakemake.params
    folder, cohort = Path(params.folder), snakemake.wildcards.cohort
    write_dataset_description(folder, f"{cohort}: healthy scans with pasted lesions")
    done, rows = {}, []
    scans = list(zip(params.scans, params.pastes, strict=True))
    for target, paste in progress(scans, f"pasting lesions into {cohort}"):
        target, host = Scan(**target), Scan(**paste["host"])
        donors = [Scan(**donor) for donor in paste["donors"]]
        found = [file_digest(path) for one in (host, *donors) for path in files(one)]
        about = [params.code, params.settings, params.atlases, target.id, sorted(target.images)]
        key = value_digest([*about, paste, found])
        record = folder / f".{target.id}.json"
        if not is_kept(record, key, folder):
            record.unlink(missing_ok=True)
            before = digests(cohort, host)
            row = synthesise(target, host, donors, atlases=params.atlases, **params.settings)
            made = [str(Path(path).relative_to(folder.absolute())) for path in files(target, False)]
            write_json(record, {"key": key, "files": made, "row": row, "before": before})
        content = read_json(record)
        rows.append(content["row"])
        done[target.id] = {"key": key, "before": content["before"]}
    write_tsv(snakemake.output.pairs, pandas.DataFrame(rows))
    write_json(snakemake.output.manifest, done)


def files(scan: Scan, brain: bool = True) -> list[str]:
    """Files of a scan."""
    paths = [*scan.images.values(), scan.brain_mask if brain else "", scan.lesion_mask]
    return [path for path in paths if path]


def digests(cohort: str, host: Scan) -> dict:
    """Facts of a host's images, sound ones: the same image must not stand anywhere else."""
    report = check_scan(host, sorted(host.images), "healthy", {})
    if report["problems"]:
        raise CohortError(cohort, [f"host {line}" for line in report["problems"]])
    return report["facts"]


run(snakemake, main)
