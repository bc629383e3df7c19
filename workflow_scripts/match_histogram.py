"""Run the match_histogram step on one shard."""

from job import run
from normscan.files import read_json, read_tsv
from normscan.preprocessing import match_histogram
from step import run_step


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    images, brain = match_histogram.reference_files(
        params.settings["reference"],
        read_json(files.reference),
        read_tsv(files.subjects, dtype=str),
    )
    run_step(
        snakemake,
        match_histogram.run,
        role=params.role,
        reference_images=images,
        reference_brain=brain,
    )


run(snakemake, main)
