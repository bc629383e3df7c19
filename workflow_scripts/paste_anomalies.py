"""Paste lesions on the healthy hosts of one shard of a synthetic cohort, as a BIDS folder."""

import os
from dataclasses import replace
from pathlib import Path

import pandas

from job import run
from normscan.cohorts.checks import check_scan
from normscan.cohorts.records import is_kept
from normscan.cohorts.scans import Scan
from normscan.errors import NormscanError
from normscan.files import file_digest, file_digests, read_json, value_digest, write_json, write_tsv
from normscan.preprocessing.naming import write_dataset_description, write_stripping
from normscan.preprocessing.synthesis import COLUMNS, synthesise
from normscan.progress import progress


def main(snakemake) -> None:
    params = snakemake.params
    folder, cohort = Path(params.folder), snakemake.wildcards.cohort
    write_dataset_description(folder, f"{cohort}: healthy scans with pasted lesions")
    images = [path for one in params.scans for path in one["images"].values()]
    write_stripping(folder, params.settings["hosts"]["skull_stripped"], images)
    done = {}
    scans = list(zip(params.scans, params.pastes, strict=True))
    for target, paste in progress(scans, f"pasting lesions into {cohort}"):
        target, host = Scan(**target), Scan(**paste["host"])
        donors = [Scan(**donor) for donor in paste["donors"]]
        found = [file_digest(path) for one in (host, *donors) for path in all_files(one)]
        about = [params.code, params.settings, params.atlases, target.id, sorted(target.images)]
        key = value_digest([*about, paste, found])
        record = folder / f".{target.id}.json"
        if not is_kept(record, key, folder):
            record.unlink(missing_ok=True)
            for path in made_files(target):
                Path(path).unlink(missing_ok=True)
            content = made(target, host, donors, params.atlases, params.settings)
            names = [os.path.relpath(path, folder) for path in made_files(target)]
            files = file_digests(folder, names) if content["row"] else {}
            write_json(record, {"key": key, "files": files, **content})
        content = read_json(record)
        done[target.id] = {name: content[name] for name in ("key", "problems", "before", "row")}
    rows = [one["row"] for one in done.values() if one["row"]]
    write_tsv(snakemake.output.pairs, pandas.DataFrame(rows, columns=list(COLUMNS)))
    write_json(snakemake.output.manifest, done)


def made(target: Scan, host: Scan, donors: list[Scan], atlases: dict, settings: dict) -> dict:
    """Make one scan; what is wrong with its host goes to the check of all cohorts."""
    # Its facts go there, too: no image of a host may stand anywhere else. Maps of its anatomy would
    # not show the lesion, and are not used.
    report = check_scan(replace(host, anatomy=""), sorted(host.images), "healthy", {})
    problems, row = [f"host {line}" for line in report["problems"]], {}
    if not problems:
        try:
            row = synthesise(target, host, donors, atlases=atlases, **settings)
        except NormscanError as error:
            problems = [str(error)]
    return {"row": row, "before": report["facts"], "problems": problems}


def made_files(scan: Scan) -> list[str]:
    """Files of a synthetic scan that are its own; its brain mask is the host's."""
    return [*scan.images.values(), scan.lesion_mask]


def all_files(scan: Scan) -> list[str]:
    """All files of a scan."""
    return [path for path in (*made_files(scan), scan.brain_mask) if path]


run(snakemake, main)
