"""Run the correct_bias step on one shard."""

from job import run
from normscan.preprocessing import correct_bias
from step import run_step

run(snakemake, lambda job: run_step(job, correct_bias.run))
