"""What the scripts of all preprocessing steps share: read a manifest, process, write the next."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from job import damaged_files
from normscan.files import read_json, write_json
from normscan.preprocessing.naming import write_dataset_description, write_space
from normscan.preprocessing.shards import process_shard
from normscan.preprocessing.volumes import Prepared


def run_step(snakemake, step: Callable[..., Prepared], **context) -> None:
    """Apply a step's ``run`` to the scans of a shard.

    Parameters
    ----------
    snakemake : the job.
    step : ``run`` of a step module.
    context : keywords of ``step`` beside its settings.
    """
    params = snakemake.params
    output = Path(snakemake.output[0])
    manifest = process_shard(
        read_json(snakemake.input.manifest),
        output.parent,
        lambda prepared, folder: step(prepared, folder, seed=0, **params.settings, **context),
        key_extra=[params.code, params.settings, context],
        on_bad_scan=params.on_bad_scan,
        step=snakemake.wildcards.step,
        contrasts=params.contrasts,
        damaged=partial(damaged_files, snakemake),
    )
    title = f"{snakemake.wildcards.cohort} after {', '.join(manifest['chain'][1:])}"
    write_dataset_description(output.parent, title)
    write_space(output.parent, manifest["space"], output.parent.glob("*/*_space-*.nii.gz"))
    write_json(output, manifest)
