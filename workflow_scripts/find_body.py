"""Run the find_body step on one shard."""

from job import run
from normscan.preprocessing import find_body
from step import run_step

run(snakemake, lambda job: run_step(job, find_body.run, **job.params.context))
