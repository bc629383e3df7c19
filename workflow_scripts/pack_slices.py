"""Pack the slices of one shard into a memory-mapped array and its index."""

from pathlib import Path

from job import run
from normscan.files import read_json
from normscan.slices.pack import pack_shard


def main(snakemake) -> None:
    params = snakemake.params
    pack_shard(
        read_json(snakemake.input.manifest),
        Path(snakemake.output.slices),
        Path(snakemake.output.index),
        contrasts=params.contrasts,
        fingerprint={
            "preprocessing": params.fingerprint,
            "contrasts": params.contrasts,
            "slices": params.settings,
        },
        anatomy_classes=params.anatomy_classes,
        **params.settings,
    )


run(snakemake, main)
