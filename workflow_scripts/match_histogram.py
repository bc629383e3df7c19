"""Run the match_histogram step on one shard."""

from job import run
from normscan.errors import NormscanError
from normscan.files import read_json
from normscan.preprocessing import match_histogram
from step import run_step


def main(snakemake) -> None:
    reference = snakemake.params.settings["reference"]
    images, brain = {}, ""
    if snakemake.input.reference:
        scan = reference.partition("/")[2]
        found = [
            one for one in read_json(snakemake.input.reference)["scans"] if one["scan"] == scan
        ]
        if not found:
            raise NormscanError(f"match_histogram.reference: scan '{reference}' was left out")
        images, brain = found[0]["images"], found[0]["brain"]
    run_step(snakemake, match_histogram.run, reference_images=images, reference_brain=brain)


run(snakemake, main)
