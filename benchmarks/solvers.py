"""Restorations by the published loop and by the proximal solver, on patients of a finished run.

For both: evaluations of the network per slice, speed against the loop as the detector runs it and
against the plain loop of restoration.py (all 500 steps), mean objective, correlation of the
residual with that of the published 500 steps, and AUPRC (voxels of the brain, no post-processing
but the sign prior). The loop is also looked at on its way: where it stops is part of the method.

    python benchmarks/solvers.py --results results --bundle demo/vae/seed-0 --cohorts demo_ms
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from functools import partial
from pathlib import Path

import common
import numpy as np
import torch
from restoration import STEP_SIZE, plain
from sklearn.metrics import average_precision_score

from normscan.detectors import proximal_restoration, restoration
from normscan.detectors.inference import batches, each_batch, elbo_and_gradient, for_inference
from normscan.detectors.restoration import objective
from normscan.detectors.variation import variation_gradient
from normscan.files import load_nifti
from normscan.slices.index import load_index, open_array
from normscan.training.bundle import load_bundle

# Steps of the published loop after which it is looked at; it ends with the last.
STOPS = [50, 125, 250, 375, 500]
BATCH = 16
# Of the plain loop, whose time is taken from so many slices and steps.
PLAIN_SLICES, PLAIN_STEPS = 2, 50
# Name, evaluations per slice, seconds, restored slices.
Row = tuple[str, float, float, np.ndarray]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--bundle", default="demo/vae/seed-0")
    parser.add_argument("--pack", default="*", help="which slices, where there are several: T1w-64")
    parser.add_argument("--cohorts", nargs="+", default=["demo_ms", "demo_tumour"])
    parser.add_argument("--positive", nargs="*", default=["demo_ms"], help="hyperintense prior")
    parser.add_argument("--slices", type=int, default=32, help="of each cohort, evenly spread")
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


def solve_all(solve, inputs: np.ndarray, device: torch.device) -> tuple[list, float]:
    """``solve(batch)`` of every batch, as the detectors compute them, and the seconds it took."""
    start = time.perf_counter()
    found = [own for _, own in each_batch(lambda _, own: solve(own), inputs, BATCH, device)]
    return found, time.perf_counter() - start


def loop_on_its_way(model, inputs: torch.Tensor, weight: float) -> list[np.ndarray]:
    """Restored slices at every stop of the published loop."""
    images, seen, done = inputs, [], 0
    for stop in STOPS:
        for _ in range(stop - done):
            gradient = elbo_and_gradient(model, images)[1]
            gradient = gradient + weight * variation_gradient(images - inputs)
            images = images - STEP_SIZE * gradient
        done = stop
        seen.append(images.cpu().numpy())
    return seen


class Counted(torch.nn.Module):
    """A model that counts how many slices it has evaluated."""

    def __init__(self, model):
        super().__init__()
        self.model, self.count = model, 0

    def elbo_parts(self, slices):
        self.count += len(slices)
        return self.model.elbo_parts(slices)


def loops(model, inputs: np.ndarray, weight: float, device: torch.device) -> list[Row]:
    """The published loop: a row per stop. All its steps take equally long."""
    settings = {"tv_weight": weight, "steps": STOPS[-1], "step_size": STEP_SIZE}
    _, spent = solve_all(partial(restoration.descend, model, **settings), inputs, device)
    seen, _ = solve_all(partial(loop_on_its_way, model, weight=weight), inputs, device)
    restored = [np.concatenate(parts) for parts in zip(*seen)]
    return [
        (f"loop, {stop} steps", stop, spent * stop / STOPS[-1], own)
        for stop, own in zip(STOPS, restored)
    ]


def proximal(model, inputs: np.ndarray, weight: float, changes: dict, device: torch.device) -> Row:
    """The proximal solver with some settings changed."""
    names = ("time", "long_step", "short_step", "inner_steps")
    usual = {name: proximal_restoration.SETTINGS[name] for name in names}
    solve = partial(proximal_restoration.descend, tv_weight=weight, **{**usual, **changes})

    def counted(own: torch.Tensor) -> tuple[np.ndarray, int]:
        counting = Counted(model)
        return solve(counting, own).cpu().numpy(), counting.count

    parts, spent = solve_all(counted, inputs, device)
    restored = np.concatenate([own for own, _ in parts])
    evaluations = sum(count for _, count in parts) / len(restored)
    return f"proximal {json.dumps(changes)}", evaluations, spent, restored


def plain_seconds(model, inputs: np.ndarray, weight: float, device: torch.device) -> float:
    """What the plain loop would take for all steps of all slices."""
    few = torch.from_numpy(inputs[:PLAIN_SLICES]).to(device)
    plain_model = copy.deepcopy(model).to(device, memory_format=torch.contiguous_format)
    with common.default_allocator():
        plain(plain_model, few, 5, weight)
        start = time.perf_counter()
        plain(plain_model, few, PLAIN_STEPS, weight)
        spent = time.perf_counter() - start
    return spent * len(inputs) / len(few) * STOPS[-1] / PLAIN_STEPS


def mean_objective(
    model, restored: np.ndarray, inputs: np.ndarray, weight: float, device: torch.device
) -> float:
    values = []
    with torch.no_grad():
        for where, own in batches(inputs, BATCH, device):
            images = torch.from_numpy(restored[where]).to(device)
            values.append(objective(model, images, own, weight))
    return float(torch.cat(values).mean())


def compare(model, cohort: str, given: argparse.Namespace, device: torch.device) -> None:
    """Print a table of all solvers for each weight of the TV."""
    inputs, brain, lesion = cohort_slices(given.results, given.pack, cohort, given.slices)
    ready = for_inference(model, device)
    for weight in given.weights:
        changes = [json.loads(text) for text in given.settings]
        rows = loops(ready, inputs, weight, device)
        rows += [proximal(ready, inputs, weight, change, device) for change in changes]
        naive = plain_seconds(model, inputs, weight, device)
        _, _, full, reference = rows[len(STOPS) - 1]
        expected = (inputs - reference).ravel()
        table = [
            {
                "solver": name,
                "evaluations": float(evaluations),
                "times the loop": full / spent,
                "times plain": naive / spent,
                "objective": mean_objective(ready, restored, inputs, weight, device),
                "correlation": float(np.corrcoef((inputs - restored).ravel(), expected)[0, 1]),
                "AUPRC": auprc(inputs, restored, brain, lesion, cohort in given.positive),
            }
            for name, evaluations, spent, restored in rows
        ]
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
    for cohort in given.cohorts:
        compare(model, cohort, given, device)


if __name__ == "__main__":
    main()
