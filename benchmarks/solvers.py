"""Restorations by the published loop and by the proximal solver, on patients of a finished run.

For both: evaluations of the network per slice (mean, median, most), speed against the loop as the
detector runs it and against the plain loop of restoration.py (all 500 steps), mean objective,
correlation of the residual with that of the published 500 steps, and AUPRC (voxels of the brain, no
post-processing but the sign prior). Both are also looked at on their way: where they stop is part
of the method.

    python benchmarks/solvers.py --results results --bundle demo/vae/seed-0 --cohorts demo_ms

``--figure NAME`` draws objective and AUPRC against evaluations into NAME.png.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import common
import numpy as np
import torch
from matplotlib.figure import Figure
from restoration import STEP_SIZE, plain
from sklearn.metrics import average_precision_score

from normscan.detectors import proximal_restoration, restoration
from normscan.detectors.inference import batches, each_batch, elbo_and_gradient, for_inference
from normscan.detectors.restoration import objective
from normscan.detectors.variation import variation_gradient
from normscan.figures.style import new_figure, save_figure, styled
from normscan.slices.batch import Batch
from normscan.slices.index import load_index, open_array, open_layer
from normscan.training.bundle import load_bundle

# Steps of the published loop after which it is looked at; it ends with the last. The proximal
# solver is given the same times.
STOPS = [50, 125, 250, 375, 500]
SOLVERS = {"loop": "published loop", "proximal": "proximal solver"}
BATCH = 16
# Of the plain loop, whose time is taken from so many slices and steps.
PLAIN_SLICES, PLAIN_STEPS = 2, 50


class Row(NamedTuple):
    """Slices restored by a solver that was stopped after some time of descent."""

    solver: str
    time: float
    evaluations: np.ndarray  # of each slice, in no order
    seconds: float
    restored: np.ndarray


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
    parser.add_argument(
        "--settings", default="{}", help="of the proximal solver, but time, as JSON"
    )
    parser.add_argument("--figure", type=Path, help="name of a picture, without its ending")
    return parser.parse_args()


def cohort_slices(results: Path, pack: str, cohort: str, count: int):
    """Slices with lesions, evenly spread: inputs, brain and lesion masks of a cohort."""
    found = []
    for path in sorted(results.glob(f"slices/*/{pack}/{cohort}/*.json")):
        index, array = load_index(path), open_array(path)
        for scan in index.scans:
            rows = scan.first + scan.rows_with_brain(index.min_brain_voxels)
            masks = [open_layer(path, name)[rows] > 0 for name in ("brain", "lesion")]
            found.append((array[rows], *masks))
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
    found = [
        own
        for _, own in each_batch(lambda _, own: solve(own.slices), Batch.of(inputs), BATCH, device)
    ]
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
    """A model that counts how often it evaluates each slice of a batch."""

    def __init__(self, model):
        super().__init__()
        self.model, self.calls = model, []

    def elbo_parts(self, slices):
        self.calls.append(len(slices))
        return self.model.elbo_parts(slices)

    @property
    def evaluations(self) -> np.ndarray:
        """Of each slice, the most first: a solver drops slices that are done."""
        calls = np.array(self.calls)
        return np.array([(calls > rank).sum() for rank in range(max(calls))])


def loops(model, inputs: np.ndarray, weight: float, device: torch.device) -> list[Row]:
    """The published loop: a row per stop. All its steps take equally long."""
    settings = {"tv_weight": weight, "steps": STOPS[-1], "step_size": STEP_SIZE}
    _, spent = solve_all(partial(restoration.descend, model, **settings), inputs, device)
    seen, _ = solve_all(partial(loop_on_its_way, model, weight=weight), inputs, device)
    restored = [np.concatenate(parts) for parts in zip(*seen)]
    return [
        Row("loop", stop * STEP_SIZE, np.full(len(own), stop), spent * stop / STOPS[-1], own)
        for stop, own in zip(STOPS, restored)
    ]


def proximal(model, inputs: np.ndarray, weight: float, changes: dict, device: torch.device) -> Row:
    """The proximal solver with some settings changed."""
    names = ("time", "long_step", "short_step", "most_evaluations", "inner_steps")
    settings = {name: proximal_restoration.SETTINGS[name] for name in names} | changes
    solve = partial(proximal_restoration.descend, tv_weight=weight, **settings)

    def counted(own: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        counting = Counted(model)
        return solve(counting, own).cpu().numpy(), counting.evaluations

    parts, spent = solve_all(counted, inputs, device)
    restored = np.concatenate([own for own, _ in parts])
    evaluations = np.concatenate([counts for _, counts in parts])
    return Row("proximal", settings["time"], evaluations, spent, restored)


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
        for where, own in batches(Batch.of(inputs), BATCH, device):
            images = torch.from_numpy(restored[where]).to(device)
            values.append(objective(model, images, own.slices, weight))
    return float(torch.cat(values).mean())


def compare(
    model, cohort: str, weight: float, given: argparse.Namespace, device: torch.device
) -> list[dict]:
    """Print a table of both solvers, a row per time of descent; its rows."""
    inputs, brain, lesion = cohort_slices(given.results, given.pack, cohort, given.slices)
    ready = for_inference(model, device)
    changes = json.loads(given.settings)
    rows = loops(ready, inputs, weight, device)
    for stop in STOPS:
        limited = {**changes, "time": stop * STEP_SIZE}
        rows.append(proximal(ready, inputs, weight, limited, device))
    naive = plain_seconds(model, inputs, weight, device)
    published = rows[len(STOPS) - 1]
    expected = (inputs - published.restored).ravel()
    table = [
        {
            "solver": row.solver,
            "time": row.time,
            "evaluations": float(row.evaluations.mean()),
            "median": float(np.median(row.evaluations)),
            "most": int(row.evaluations.max()),
            "times the loop": published.seconds / row.seconds,
            "times plain": naive / row.seconds,
            "objective": mean_objective(ready, row.restored, inputs, weight, device),
            "correlation": float(np.corrcoef((inputs - row.restored).ravel(), expected)[0, 1]),
            "AUPRC": auprc(inputs, row.restored, brain, lesion, cohort in given.positive),
        }
        for row in rows
    ]
    common.table(f"{cohort}, {len(inputs)} slices, tv_weight {weight:g}", table)
    sys.stdout.flush()
    return table


@styled
def draw(tables: dict[str, list[dict]]) -> Figure:
    """Objective and AUPRC against evaluations; a column per cohort."""
    figure = new_figure(2.6 * len(tables) + 0.8, 4.2)
    axes = figure.subplots(2, len(tables), sharex=True, squeeze=False)
    for column, (title, table) in zip(axes.T, tables.items()):
        column[0].set_title(title)
        column[1].set_xlabel("evaluations of the network")
        for axis, measure in zip(column, ("objective", "AUPRC")):
            for name, label in SOLVERS.items():
                own = [row for row in table if row["solver"] == name]
                x, y = ([row[key] for row in own] for key in ("evaluations", measure))
                axis.plot(x, y, marker="o", markersize=4, label=label)
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter("{x:g}")
            if measure == "AUPRC":
                axis.set_ylim(0, 1.15 * max(row["AUPRC"] for row in table))
    for row, measure in zip(axes, ("objective", "AUPRC")):
        row[0].set_ylabel(measure)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def main() -> None:
    given = arguments()
    device = common.setup(given)
    folder = given.results / "bundles" / given.bundle
    if not folder.is_dir():
        print(f"{folder}: no finished run; `make demo` makes one")
        return
    model, _ = load_bundle(folder / "weights.safetensors", folder / "bundle.json")
    tables = {
        f"{cohort}, weight {weight:g}": compare(model, cohort, weight, given, device)
        for cohort in given.cohorts
        for weight in given.weights
    }
    if given.figure:
        print("drawn:", *save_figure(draw(tables), given.figure))


if __name__ == "__main__":
    main()
