"""Scores of an approach on held-out healthy scans: what its maps are compared with when fused."""

import logging

from job import run
from normscan.evaluation.healthy_scans import scores_of
from normscan.postprocessing.fusing import healthy_scores, save_healthy
from normscan.postprocessing.pooling import validation_scans

LOG = logging.getLogger("normscan")


def main(snakemake) -> None:
    files, params = snakemake.input, snakemake.params
    chosen = validation_scans(params.cohorts, files.subjects)
    healthy = healthy_scores(scores_of(files.filtered, chosen, params.erosion))
    save_healthy(snakemake.output[0], healthy)
    LOG.info("%d voxels of %d held-out healthy scans", healthy.voxels, len(healthy.scans))


run(snakemake, main)
