"""Remove volumes that only stages before the end read, and their manifests."""

import logging

from job import run
from normscan.housekeeping import remove_intermediates

LOG = logging.getLogger("normscan")


def main(snakemake) -> None:
    files, size = remove_intermediates(snakemake.params.results)
    LOG.info("removed %d intermediate files, %.1f MB", files, size / 1e6)


run(snakemake, main)
