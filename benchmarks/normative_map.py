"""Normative map: fitting, and maps against a solver of one small matrix per pixel."""

from __future__ import annotations

import resource
import time
from typing import Any

import numpy as np
import torch
from common import options, paired, setup, table
from torch import Tensor

from normscan.models import registry
from normscan.slices.batch import Batch
from normscan.slices.batches import to_device
from normscan.training.loop import train

SLICES, GRID = 90, 91


class MadeScans:
    """A store of scans that are made when they are asked for: round brains of noise."""

    nbytes = 0

    def __init__(self, scans: int, contrasts: int, size: int):
        self.scans, self.contrasts, self.size = scans, contrasts, size
        x, y = np.mgrid[:size, :size] / size - 0.5
        self.brain = (x**2 + y**2 < 0.2).astype(np.int16)

    def __len__(self) -> int:
        return self.scans * SLICES

    def batch(self, numbers: np.ndarray) -> Batch[np.ndarray]:
        random = np.random.default_rng(int(numbers[0]))
        shape = len(numbers), self.contrasts, self.size, self.size
        slices = 0.8 + 0.1 * random.standard_normal(shape, dtype=np.float32)
        layers = {"brain": np.repeat(self.brain[None], len(numbers), axis=0)}
        position = ((numbers % SLICES) / (GRID - 1)).astype(np.float32)
        return Batch.of(slices * self.brain, layers=layers, position=position)


def by_matrices(model: Any, slices: Tensor, positions: Tensor) -> Tensor:
    """Distances with a solver for each pixel's matrix."""
    chosen = (positions * (GRID - 1)).round().long()
    count = slices.shape[1]
    rows, columns = torch.tril_indices(count, count)
    packed = model.covariance[chosen].movedim(1, -1)
    matrices = packed.new_zeros(*packed.shape[:-1], count, count)
    matrices[..., rows, columns] = packed
    matrices[..., columns, rows] = packed
    factors = torch.linalg.cholesky(matrices)
    residuals = (slices - model.mean[chosen]).movedim(1, -1)[..., None]
    solved = torch.linalg.solve_triangular(factors, residuals, upper=False)
    return solved[..., 0].norm(dim=-1)


def measured(contrasts: int, arguments: Any, device: torch.device) -> dict[str, Any]:
    """Times with so many contrasts."""
    store = MadeScans(arguments.scans, contrasts, arguments.size)
    model: Any = registry.build("normative_map", (contrasts, contrasts, arguments.size))
    start = time.process_time()
    (row,) = train(model, store, store, seed=0, device=device, batch_size=16)  # ty: ignore[invalid-argument-type]
    seconds = time.process_time() - start
    scan = to_device(store.batch(np.arange(16)), device)
    asked = scan.slices, scan.position
    runs = {
        "matrices": lambda: by_matrices(model, *asked),
        "ours": lambda: model.distances_at(*asked),
    }
    difference = (runs["ours"]() - runs["matrices"]()).abs().max()
    times = paired(runs, arguments.repeats, device, clock=arguments.clock)
    return {
        "contrasts": contrasts,
        "fit, CPU s": seconds,
        "passes": row["passes"] + 3,
        "peak, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "map of a scan, s": times["ours"] * SLICES / 16,
        "by matrices": times["matrices"] / times["ours"],
        "difference": f"{difference:.0e}",
    }


def main() -> None:
    arguments = options(__doc__.splitlines()[0], scans=20, size=128)
    device = setup(arguments)
    rows = [measured(contrasts, arguments, device) for contrasts in (1, 4)]
    table(f"{arguments.scans} scans of {SLICES} slices, {arguments.size} pixels", rows)


if __name__ == "__main__":
    main()
