"""Run the register step on one shard."""

from job import run
from normscan.preprocessing import register
from step import run_step


def main(snakemake) -> None:
    run_step(
        snakemake,
        register.run,
        **snakemake.params.context,
        atlases=snakemake.params.atlases,
    )


run(snakemake, main)
