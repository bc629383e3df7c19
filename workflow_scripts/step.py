"""What the scripts of all preprocessing steps share: read a manifest, process, write the next."""

from collections.abc import Callable
from pathlib import Path

from normscan.files import read_json, value_digest, write_json
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
    manifest = read_json(snakemake.input.manifest)
    output = Path(snakemake.output[0])

    def run_one(prepared: Prepared, folder: Path) -> Prepared:
        return step(prepared.keep(params.contrasts), folder, seed=0, **params.settings, **context)

    done = process_shard(
        manifest,
        output.parent,
        run_one,
        key_extra=value_digest([params.code, params.settings, params.contrasts, context]),
        on_bad_scan=params.on_bad_scan,
    )
    chain = [*manifest["chain"], snakemake.wildcards.step]
    spaces = {one["space"] for one in done["scans"]}
    space = spaces.pop() if len(spaces) == 1 else manifest["space"]
    write_json(output, {**done, "chain": chain, "space": space})
