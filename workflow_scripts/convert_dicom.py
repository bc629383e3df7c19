"""Convert the DICOM series of one shard's scans to NIfTI volumes, as a BIDS folder."""

from pathlib import Path

from job import run
from normscan.cohorts.dicom.convert import convert_scan
from normscan.cohorts.dicom.folders import listing_digest
from normscan.cohorts.records import is_kept
from normscan.cohorts.scans import Scan
from normscan.files import file_digests, read_json, value_digest, write_json
from normscan.preprocessing.naming import write_dataset_description
from normscan.progress import progress


def main(snakemake) -> None:
    params, cohort = snakemake.params, snakemake.wildcards.cohort
    folder = Path(params.folder).absolute()
    write_dataset_description(folder, f"{cohort}: converted from DICOM", "raw")
    done = {}
    for source in progress(params.sources, f"converting {cohort}"):
        scan, place = Scan(**source["scan"]), Path(source["folder"])
        # What was only touched is converted again, to the same bytes.
        key = value_digest(
            [params.code, str(place), listing_digest(place, times=True), params.series]
        )
        record = folder / f".{scan.id}.json"
        if not is_kept(record, key, folder):
            content = convert_scan(place, scan, params.series, folder)
            names = [str(Path(path).relative_to(folder)) for path in scan.images.values()]
            files = {} if content["problems"] else file_digests(folder, names)
            write_json(record, {"key": key, "files": files, "found": content})
        done[scan.id] = {**read_json(record)["found"], "folder": str(place)}
    write_json(snakemake.output[0], done)


run(snakemake, main)
