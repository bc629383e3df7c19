"""How faithful the reconstructions of one shard are, slice by slice."""

import logging
from pathlib import Path

import numpy as np
import pandas
import torch

from job import run
from normscan.compute.devices import prepare_torch
from normscan.detectors.inference import each_batch, for_inference, suitable_size
from normscan.evaluation.fidelity import (
    EXPECTED,
    SCORES,
    score_table,
    slice_scores,
    unmeasured,
)
from normscan.files import write_tsv
from normscan.progress import progress
from normscan.slices.batch import Batch
from normscan.slices.index import load_index
from normscan.slices.rows import RowReader
from normscan.slices.store import SliceStore
from normscan.training.bundle import ModelFacts, check_fit, load_bundle

LOG = logging.getLogger("normscan")


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    device = prepare_torch(params.device, snakemake.threads)
    maps, index = RowReader(files.maps), load_index(files.index)
    model, bundle = load_bundle(Path(files.weights), Path(files.bundle), device)
    check_fit(bundle, index.fingerprint)
    (contrast,) = ModelFacts.from_json(bundle).inputs
    tables = [pandas.DataFrame(columns=SCORES)]
    if reason := unmeasured(maps, contrast):
        LOG.info("%s: %s; nothing is measured", w.variant, reason)
    else:
        model = for_inference(model, device)
        names = [one.scan for one in index.scans if one.scan in maps.scans]
        store = SliceStore(
            [files.index],
            [f"{index.cohort}/{name}" for name in names],
            inputs=[contrast],
            targets=[contrast],
        )
        for name in progress(names, f"{w.variant} fidelity"):
            entry = index.scan(name)
            rows = entry.rows_with_brain(index.min_brain_voxels)
            if not len(rows):
                continue
            given = store.scan(f"{index.cohort}/{name}").slices
            expected = np.asarray(maps.rows(EXPECTED, name)[rows], np.float32)[:, None]
            scores = scan_scores(model, given, expected, params.classes, device)
            tables.append(score_table(name, np.asarray(entry.z)[rows], scores))
    write_tsv(snakemake.output[0], pandas.concat(tables, ignore_index=True))


@torch.inference_mode()
def scan_scores(
    model, given: np.ndarray, expected: np.ndarray, names: list[str], device: torch.device
) -> dict[str, np.ndarray]:
    """Scores of a scan's slices (n, 1, size, size) and their reconstructions, by metric (n,)."""

    def compute(where: slice, batch: Batch[torch.Tensor]) -> dict[str, np.ndarray]:
        with torch.inference_mode():  # A setting of each thread.
            both = [model.classify_anatomy(one).cpu() for one in (batch.slices, batch.targets)]
        return slice_scores(both[0].numpy(), both[1].numpy(), names)

    found = each_batch(compute, Batch(given, expected), suitable_size(None, device), device)
    parts = [part for _, part in found]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


run(snakemake, main)
