"""Compare all results with the digests that jobs left of them."""

import logging

from job import run
from normscan.digests import damage_lines, damages
from normscan.errors import NormscanError

LOG = logging.getLogger("normscan")


def main(snakemake) -> None:
    results = snakemake.params.results
    found, files = damages(results, threads=snakemake.threads)
    if not files:
        raise NormscanError(f"{results}: no job has left digests there, so nothing can be compared")
    if found:
        raise NormscanError(damage_lines(found))
    LOG.warning("all %d files are as they were made", files)


run(snakemake, main)
