"""Train one model on the slices of healthy subjects."""

from pathlib import Path

from job import run
from normscan.cohorts.subjects import chosen_scans
from normscan.compute.devices import prepare_torch
from normscan.figures.style import save_figure
from normscan.figures.training import training_history
from normscan.files import file_digest, value_digest, write_tsv
from normscan.models import registry
from normscan.models.base import TRAINING
from normscan.models.registry import MAIN
from normscan.slices.store import SliceStore
from normscan.training.bundle import ModelFacts, load_bundle, save_bundle
from normscan.training.checkpoint import remove_checkpoints
from normscan.training.curve import history_table
from normscan.training.loop import train


def main(snakemake) -> None:
    params, files, seed = snakemake.params, snakemake.input, int(snakemake.wildcards.seed)
    device = prepare_torch(params.device, snakemake.threads)
    indices = [Path(path) for path in files.packs]
    described = registry.describe(params.family)
    seen = {
        "inputs": params.inputs,
        "targets": params.targets,
        "neighbours": params.neighbours,
        "layers": described["layers"],
    }
    chosen, stores = {}, {}
    for name, stream in params.streams.items():
        share = params.share if name == MAIN else 100
        chosen[name] = chosen_scans(
            files.subjects, "train", stream["cohorts"], share=share, seed=params.split_seed
        )
        stores[name] = SliceStore(indices, chosen[name], slices=stream["slices"], **seen)
    main_stream = params.streams[MAIN]
    chosen["validation"] = chosen_scans(files.subjects, "validation", main_stream["cohorts"])
    validation = SliceStore(indices, chosen["validation"], slices=main_stream["slices"], **seen)
    store = stores.pop(MAIN)
    used = {
        role: load_bundle(Path(weights), Path(bundle), device)
        for role, weights, bundle in zip(params.uses, files.used_weights, files.used_bundles)
    }
    facts = ModelFacts(
        params.family,
        params.settings,
        store.view.inputs,
        store.view.targets,
        store.size,
        store.view.neighbours,
        {role: ModelFacts.from_json(description) for role, (_, description) in used.items()},
    )
    # Checkpoints are found again by what determines this training, and by nothing else.
    data = [chosen, params.streams, [file_digest(path) for path in [*indices, *files.used_weights]]]
    key = value_digest([params.code, facts.to_json(), seed, data, str(device)])
    checkpoints = Path(params.checkpoints, key)
    model = facts.build(seed, {role: one for role, (one, _) in used.items()})
    history = train(
        model,
        store,
        validation,
        others=stores,
        seed=seed,
        device=device,
        checkpoint=checkpoints,
        **{name: params.settings[name] for name in TRAINING if name in params.settings},
    )
    trained_on = store.contents | {k: v for one in stores.values() for k, v in one.contents.items()}
    scans = {"train": trained_on, "validation": validation.contents}
    for role, (_, description) in used.items():
        scans |= {f"{split}, {role}": one for split, one in description["scans"].items()}
    save_bundle(
        Path(snakemake.output.weights),
        Path(snakemake.output.bundle),
        model,
        facts,
        fingerprint=store.fingerprint,
        scans=scans,
        seed=seed,
        history=history,
    )
    table = history_table(history)
    write_tsv(snakemake.output.curve, table)
    stem = Path(snakemake.output.figure[0]).with_suffix("")
    save_figure(training_history(table, history, title=params.family.upper()), stem)
    remove_checkpoints(checkpoints)


run(snakemake, main)
