"""Run the strip_skull step on one shard."""

from job import run
from normscan.preprocessing import strip_skull
from step import run_step


def main(snakemake) -> None:
    run_step(
        snakemake,
        strip_skull.run,
        **snakemake.params.context,
        atlases=snakemake.params.atlases,
    )


run(snakemake, main)
