"""Train one model on the slices of its streams."""

from importlib import import_module
from pathlib import Path

from job import run
from normscan.cohorts.subjects import chosen_scans
from normscan.compute.devices import prepare_torch
from normscan.figures.style import save_figure
from normscan.figures.training import training_history
from normscan.files import file_digest, value_digest, write_tsv
from normscan.models import registry
from normscan.models.base import TRAINING
from normscan.slices.store import SliceStore
from normscan.streams import MAIN, PSEUDO
from normscan.training.bundle import ModelFacts, load_bundle, save_bundle
from normscan.training.checkpoint import remove_checkpoints
from normscan.training.curve import history_table
from normscan.training.loop import train
from normscan.training.taught import described_labels

VALIDATION = "validation"


def main(snakemake) -> None:
    params, files, seed = snakemake.params, snakemake.input, int(snakemake.wildcards.seed)
    device = prepare_torch(params.device, snakemake.threads)
    lead, labels = registry.describe(params.family)["streams"][0], files.get("labels", [])
    chosen = scans_of_streams(files.subjects, params)
    held_out = chosen_scans(files.subjects, VALIDATION, params.streams[lead]["cohorts"])
    taught = described_labels(labels, chosen[lead]) if labels else None
    stores = {name: slices_of(files, scans, name, params) for name, scans in chosen.items()}
    validation = slices_of(files, held_out, lead, params)
    used_weights = files.get("used_weights", [])
    pairs = zip(params.uses, used_weights, files.get("used_bundles", []))
    used = {role: load_bundle(Path(one), Path(other), device) for role, one, other in pairs}
    store = stores.pop(lead)
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
    read = [file_digest(path) for path in [*files.packs, *labels, *used_weights]]
    key = value_digest(
        [params.code, facts.to_json(), seed, chosen, held_out, params.streams, read, str(device)]
        + ([params.augmentation] if params.augmentation else [])
    )
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
        augment=augmentation(params.augmentation, snakemake.threads),
        **{name: params.settings[name] for name in TRAINING if name in params.settings},
    )
    scans = {"train": dict(store.contents), VALIDATION: validation.contents}
    for other in stores.values():
        scans["train"] |= other.contents
    for role, (_, description) in used.items():
        scans |= {f"{split}, {role}": one for split, one in description["scans"].items()}
    save_bundle(
        Path(snakemake.output.weights),
        Path(snakemake.output.bundle),
        model,
        facts,
        augmentation=params.augmentation,
        fingerprint=store.fingerprint,
        scans=scans,
        seed=seed,
        history=history,
        taught=taught,
    )
    table = history_table(history)
    write_tsv(snakemake.output.curve, table)
    stem = Path(snakemake.output.figure[0]).with_suffix("")
    save_figure(training_history(table, history, title=params.family.upper()), stem)
    remove_checkpoints(checkpoints)


def augmentation(transforms: dict, threads: int):
    """What changes training slices; None without any.

    Loaded by name, so that its code counts for models that are trained with it and for no others.
    """
    if not transforms:
        return None
    module = import_module("normscan.slices.augmentation")
    return module.Augmentation(transforms, threads)


def scans_of_streams(subjects: list[str], params) -> dict[str, list[str]]:
    """Scans of each stream, of the main one a share of the subjects."""
    return {
        name: chosen_scans(
            subjects,
            "train",
            stream["cohorts"],
            share=params.share if name == MAIN else 100,
            seed=params.split_seed,
        )
        for name, stream in params.streams.items()
    }


def slices_of(files, scans: list[str], stream: str, params) -> SliceStore:
    """Slices of scans, those that a stream has of them, as the model sees them."""
    return SliceStore(
        files.packs,
        scans,
        slices=params.streams[stream]["slices"],
        inputs=params.inputs,
        targets=params.targets,
        neighbours=params.neighbours,
        layers=registry.describe(params.family)["stream_layers"][stream],
        elsewhere={PSEUDO: files.get("labels", [])},
    )


run(snakemake, main)
