"""Stop when quality control flagged any scan, before anything is packed (`on_flagged: stop`)."""

from job import run
from normscan.files import write_json
from normscan.preprocessing.flags import refuse_flagged


def main(snakemake) -> None:
    scans = refuse_flagged(snakemake.input.quality)
    write_json(snakemake.output[0], {"scans": scans, "flagged": []})


run(snakemake, main)
