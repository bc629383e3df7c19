"""Train one model on the slices of healthy subjects."""

from pathlib import Path

from job import run
from normscan.cohorts.subjects import chosen_scans
from normscan.compute.devices import prepare_torch
from normscan.figures.style import save_figure
from normscan.figures.training import training_history
from normscan.files import file_digest, value_digest, write_tsv
from normscan.models import registry
from normscan.slices.store import SliceStore
from normscan.training.bundle import save_bundle
from normscan.training.checkpoint import remove_checkpoints
from normscan.training.curve import history_table
from normscan.training.loop import train

TRAINING = ("batch_size", "max_epochs", "patience", "precision")


def main(snakemake) -> None:
    params, seed = snakemake.params, int(snakemake.wildcards.seed)
    device = prepare_torch(params.device, snakemake.threads)
    tables = snakemake.input.subjects
    scans = {
        "train": chosen_scans(tables, "train", params.share, params.split_seed),
        "validation": chosen_scans(tables, "validation"),
    }
    indices = [Path(path) for path in snakemake.input.packs]
    stores = {split: SliceStore(indices, names) for split, names in scans.items()}
    store = stores["train"]
    # Checkpoints are found again by what determines this training, and by nothing else.
    data = [scans, [file_digest(path) for path in indices]]
    key = value_digest([params.code, params.family, params.settings, seed, data, str(device)])
    checkpoints = Path(params.checkpoints, key)
    model = registry.load(params.family).build(
        contrasts=len(store.contrasts), size=store.size, seed=seed, **params.settings
    )
    history = train(
        model,
        store,
        stores["validation"],
        seed=seed,
        device=device,
        checkpoint=checkpoints,
        **{name: params.settings[name] for name in TRAINING if name in params.settings},
    )
    save_bundle(
        Path(snakemake.output.weights),
        Path(snakemake.output.bundle),
        model,
        family=params.family,
        settings=params.settings,
        contrasts=store.contrasts,
        size=store.size,
        fingerprint=store.fingerprint,
        scans={split: one.contents for split, one in stores.items()},
        seed=seed,
        history=history,
    )
    table = history_table(history)
    write_tsv(snakemake.output.curve, table)
    stem = Path(snakemake.output.figure[0]).with_suffix("")
    save_figure(training_history(table, history, title=params.family.upper()), stem)
    remove_checkpoints(checkpoints)


run(snakemake, main)
