"""Run the normalise step on one shard."""

from job import run
from normscan.preprocessing import normalise
from step import run_step

run(snakemake, lambda job: run_step(job, normalise.run))
