"""Run the denoise step on one shard."""

from job import run
from normscan.preprocessing import denoise
from step import run_step

run(snakemake, lambda job: run_step(job, denoise.run))
