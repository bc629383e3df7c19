"""Train one model on the slices of healthy subjects."""

from pathlib import Path

from job import run
from normscan.figures.style import save_figure
from normscan.figures.training import training_figure
from normscan.files import file_digest, value_digest, write_tsv
from normscan.models import registry
from normscan.networks.devices import prepare_torch
from normscan.slices.store import SliceStore
from normscan.training.bundle import save_bundle
from normscan.training.loop import train
from subjects import chosen_scans


def main(snakemake) -> None:
    params, seed = snakemake.params, int(snakemake.wildcards.seed)
    device = prepare_torch(params.device, snakemake.threads)
    indices = [Path(path) for path in snakemake.input.packs]
    tables = snakemake.input.subjects
    scans = {
        "train": chosen_scans(tables, "train", params.share, params.split_seed),
        "validation": chosen_scans(tables, "validation"),
    }
    stores = {split: SliceStore(indices, names) for split, names in scans.items()}
    store = stores["train"]
    data = value_digest([scans, [file_digest(path) for path in indices]])
    key = value_digest([params.code, params.family, params.settings, seed, data, str(device)])
    model = registry.load(params.family).build(
        contrasts=len(store.contrasts), size=store.size, seed=seed, **params.settings
    )
    history = train(
        model,
        store,
        stores["validation"],
        seed=seed,
        device=device,
        checkpoint=Path(params.checkpoints, key),
        **{name: params.settings[name] for name in ("batch_size", "max_epochs", "patience")},
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
        scans=scans,
        seed=seed,
        history=history,
    )
    write_tsv(snakemake.output.curve, history)
    save_figure(training_figure(history), Path(snakemake.output.figure[0]).with_suffix(""))


run(snakemake, main)
