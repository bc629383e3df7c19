"""Run the segment_tissue step on one shard."""

from job import run
from normscan.preprocessing import segment_tissue
from step import run_step

run(snakemake, lambda job: run_step(job, segment_tissue.run))
