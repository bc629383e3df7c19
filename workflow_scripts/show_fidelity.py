"""One slice of a test patient as a segmentation of anatomy sees it and its reconstructions."""

from pathlib import Path

import numpy as np
import torch

from job import run
from normscan.compute.devices import prepare_torch
from normscan.detectors.inference import for_inference
from normscan.evaluation.fidelity import EXPECTED, save_example, unmeasured
from normscan.files import read_tsv
from normscan.slices.index import PackIndex, load_index
from normscan.slices.rows import RowReader
from normscan.slices.store import SliceStore
from normscan.training.bundle import ModelFacts, load_bundle


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    device = prepare_torch(params.device, snakemake.threads)
    model, bundle = load_bundle(Path(files.weights), Path(files.bundle), device)
    (contrast,) = ModelFacts.from_json(bundle).inputs
    subjects = read_tsv(files.subjects, dtype=str)
    tested = sorted(subjects[subjects["split"] == "test"]["scan"])
    # Manifests come by approach, then by shard.
    shards = len(files.indices)
    readers = [RowReader(path) for path in files.maps]
    by_title = {
        title: readers[number * shards : (number + 1) * shards]
        for number, title in enumerate(params.titles)
    }
    found = first_scan(tested, [load_index(path) for path in files.indices], by_title, contrast)
    if found is None:
        save_example(snakemake.output[0], "", 0, {}, [], params.classes)
        return
    number, index, scan, titles = found
    entry = index.scan(scan)
    row = int(np.argmax(entry.brain_voxels))
    store = SliceStore(
        [files.indices[number]], [f"{index.cohort}/{scan}"], inputs=[contrast], targets=[contrast]
    )
    place = int(np.flatnonzero(store.rows(f"{index.cohort}/{scan}") == entry.first + row)[0])
    images = {"input": store.scan(f"{index.cohort}/{scan}").slices[place, 0]}
    for title in titles:
        rows = by_title[title][number].rows(EXPECTED, scan)
        images[title] = np.asarray(rows[row], np.float32)
    seen = torch.from_numpy(np.stack(list(images.values())))[:, None].to(device)
    with torch.inference_mode():
        likely = for_inference(model, device).classify_anatomy(seen).cpu().numpy()
    save_example(snakemake.output[0], scan, entry.z[row], images, likely, params.classes)


def first_scan(
    tested: list[str],
    indices: list[PackIndex],
    by_title: dict[str, list[RowReader]],
    contrast: str,
) -> tuple[int, PackIndex, str, list[str]] | None:
    """The first test scan with reconstructions: number and pack of its shard, and whose."""
    for scan in tested:
        for number, index in enumerate(indices):
            if scan not in {one.scan for one in index.scans}:
                continue
            titles = [
                title
                for title, readers in by_title.items()
                if scan in readers[number].scans and not unmeasured(readers[number], contrast)
            ]
            if titles:
                return number, index, scan, titles
    return None


run(snakemake, main)
