"""Restorations by the published loop and by the proximal solver, on patients of a finished run.

For both: evaluations of the network per slice, time, mean objective, correlation of the residual
with that of the published 500 steps, and AUPRC (voxels of the brain, no post-processing but the
sign prior). The loop is also looked at on its way, since where it stops is part of the method.

    python benchmarks/solvers.py --results results --bundle demo/vae/seed-0 --cohorts demo_ms
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

import common
import numpy as np
import torch
from sklearn.metrics import average_precision_score

from normscan.detectors import proximal_restoration, restoration
from normscan.detectors.inference import batches, elbo_and_gradient, for_inference
from normscan.detectors.restoration import objective
from normscan.detectors.variation import variation_gradient
from normscan.files import load_nifti
from normscan.slices.index import load_index, open_array
from normscan.training.bundle import load_bundle

# Steps of the published loop after which it is looked at; it ends with the last.
STOPS = [50, 125, 250, 375, 500]
BATCH = 16
# Name, evaluations per slice, seconds, restored slices.
Row = tuple[str, float, float, torch.Tensor]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--bundle", default="demo/vae/seed-0")
    parser.add_argument("--pack", default="*", help="which slices, where there are several: T1w-64")
    parser.add_argument("--cohorts", nargs="+", default=["demo_ms", "demo_tumour"])
    parser.add_argument("--positive", nargs="*", default=["demo_ms"], help="hyperintense prior")
    parser.add_argument("--slices", type=int, default=24, help="of each cohort, evenly spread")
    parser.add_argument("--weights", nargs="+", type=float, default=[0.6, 1.8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--settings", nargs="*", default=["{}"], help="of the solver, as JSON")
    return parser.parse_args()


def cohort_slices(results: Path, pack: str, cohort: str, count: int):
    """Slices with lesions, evenly spread: inputs, brain and lesion masks of a cohort."""
    found = []
    for path in sorted(results.glob(f"slices/*/{pack}/{cohort}/*.json")):
        index, array = load_index(path), open_array(path)
        for scan in index.scans:
            own = np.array(array[scan.first : scan.first + scan.count])
            masks = [load_nifti(file)[0] > 0 for file in (scan.brain, scan.lesions)]
            found.append((own, *(scan.slices_of(mask) > 0 for mask in masks)))
    inputs, brain, lesion = (np.concatenate(parts) for parts in zip(*found))
    used = np.flatnonzero(lesion.any(axis=(1, 2)))
    used = used[np.linspace(0, len(used) - 1, min(count, len(used))).round().astype(int)]
    return inputs[used], brain[used], lesion[used]


def auprc(inputs, restored, brain, lesion, positive: bool) -> float:
    residual = (inputs - restored).mean(axis=1)
    score = np.maximum(residual, 0) if positive else np.abs(residual)
    return float(average_precision_score(lesion[brain], score[brain]))


def loop_on_its_way(model, inputs, weight: float, stops: list[int]):
    """(evaluations, restored) at some steps of the published loop."""
    images = inputs.clone()
    for step in range(1, max(stops) + 1):
        gradient = elbo_and_gradient(model, images)[1]
        gradient = gradient + weight * variation_gradient(images - inputs)
        images = images - 1e-3 * gradient
        if step in stops:
            yield step, images


class Counted(torch.nn.Module):
    """A model that counts how many slices it has evaluated."""

    def __init__(self, model):
        super().__init__()
        self.model, self.count = model, 0

    def elbo_parts(self, slices):
        self.count += len(slices)
        return self.model.elbo_parts(slices)


def loops(model, parts: list[torch.Tensor], weight: float) -> tuple[list[Row], torch.Tensor, float]:
    """The published loop: a row per stop, its result, its seconds without the looks on its way."""
    rows, restored = [], parts[0]
    start = time.perf_counter()
    for moment in zip(*(loop_on_its_way(model, part, weight, STOPS) for part in parts)):
        spent, restored = time.perf_counter() - start, torch.cat([images for _, images in moment])
        rows.append((f"loop, {moment[0][0]} steps", moment[0][0], spent, restored))
    start = time.perf_counter()
    for part in parts:
        restoration.descend(model, part, tv_weight=weight, steps=STOPS[-1], step_size=1e-3)
    return rows, restored, time.perf_counter() - start


def proximal(model, parts: list[torch.Tensor], weight: float, changes: dict) -> Row:
    """The proximal solver with some settings changed."""
    names = ("time", "longest_step", "shortest_step", "inner_steps")
    usual = {name: proximal_restoration.SETTINGS[name] for name in names}
    solve = partial(proximal_restoration.descend, **{**usual, **changes})
    counted = Counted(model)
    start = time.perf_counter()
    restored = torch.cat([solve(counted, part, tv_weight=weight) for part in parts])
    spent = time.perf_counter() - start
    return f"proximal {json.dumps(changes)}", counted.count / len(restored), spent, restored


def mean_objective(model, restored: torch.Tensor, parts: list[torch.Tensor], weight: float):
    with torch.no_grad():
        pairs = zip(restored.split(len(parts[0])), parts)
        return float(torch.cat([objective(model, x, y, weight) for x, y in pairs]).mean())


def compare(model, cohort: str, given: argparse.Namespace, device: torch.device) -> None:
    """Print a table of all solvers for each weight of the TV."""
    inputs, brain, lesion = cohort_slices(given.results, given.pack, cohort, given.slices)
    parts = [batch for _, batch in batches(inputs, BATCH, device)]
    for weight in given.weights:
        rows, reference, full = loops(model, parts, weight)
        rows += [proximal(model, parts, weight, json.loads(text)) for text in given.settings]
        expected = (inputs - reference.cpu().numpy()).ravel()
        table = []
        for name, evaluations, spent, restored in rows:
            found = restored.cpu().numpy()
            table.append(
                {
                    "solver": name,
                    "evaluations": float(evaluations),
                    "times faster": full / spent,
                    "objective": mean_objective(model, restored, parts, weight),
                    "correlation": float(np.corrcoef((inputs - found).ravel(), expected)[0, 1]),
                    "AUPRC": auprc(inputs, found, brain, lesion, cohort in given.positive),
                }
            )
        common.table(f"{cohort}, {len(inputs)} slices, tv_weight {weight:g}", table)
        sys.stdout.flush()


def main() -> None:
    given = arguments()
    device = common.setup(given)
    folder = given.results / "bundles" / given.bundle
    if not folder.is_dir():
        print(f"{folder}: no finished run; `make demo` makes one")
        return
    model, _ = load_bundle(folder / "weights.safetensors", folder / "bundle.json")
    model = for_inference(model, device)
    for cohort in given.cohorts:
        compare(model, cohort, given, device)


if __name__ == "__main__":
    main()
