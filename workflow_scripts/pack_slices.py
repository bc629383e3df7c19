"""Pack the slices of one shard into a memory-mapped array and its index."""

from pathlib import Path

from job import run
from normscan.files import read_json
from normscan.preprocessing.flags import without_flagged
from normscan.slices.pack import pack_shard


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    manifest = read_json(files.manifest)
    if files.get("quality"):
        manifest = without_flagged(manifest, read_json(files.quality))
    pack_shard(
        manifest,
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
