"""Training steps of the unified VAE: as written first, and as the workflow does them.

``plain`` has the C library's own memory settings and images in plain memory order; ``ours`` has
both as the training jobs set them. Prints slices per second, ratios, and the share of the machine's
fastest convolution that forward and backward passes reach; then that share for further families.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import torch
from common import default_allocator, flops, options, paired_with_peak, setup, table

from normscan.compute.devices import autocast
from normscan.models import registry
from normscan.models.base import Updates
from normscan.slices.batch import Batch

# Family -> slices of a batch, layers of its slices with their largest label.
FURTHER = {"steganomaly": (4, {"tissue": 3})}


def training_step(model, batch: Batch, update: Updates, precision: str = "float32"):
    """One step as in the training loop."""
    with autocast(precision, batch.slices.device):
        return model.training_step("main", batch, update)


def prepared(size: int, batch_size: int, device, memory_format):
    """A model, its optimisers and a batch."""
    model = registry.build("vae", (1, 1, size)).to(device, memory_format=memory_format).train()
    batch = torch.rand(batch_size, 1, size, size, device=device)
    batch = Batch.of(batch.contiguous(memory_format=memory_format))
    return model, batch, Updates(model.optimisers("main"))


def further(size: int, repeats: int, device: torch.device, clock: str) -> None:
    """Print the share of the peak of a training step of each further family."""
    runs, work = {}, {}
    for family, (count, labels) in FURTHER.items():
        model = registry.build(family, (1, 1, size))
        model = model.to(device, memory_format=torch.channels_last).train()
        shape = (count, size, size)
        layers = {
            name: torch.randint(0, most + 1, shape, dtype=torch.int16, device=device)
            for name, most in labels.items()
        }
        slices = torch.rand(count, 1, size, size, device=device)
        batch = Batch.of(slices.contiguous(memory_format=torch.channels_last), layers=layers)
        update = Updates(model.optimisers("main"))
        runs[family] = partial(training_step, model, batch, update)
        work[family] = flops(runs[family])
    seconds, peak = paired_with_peak(runs, repeats, device, clock)
    rows = [
        {
            "family": family,
            f"slices/s ({clock})": FURTHER[family][0] / seconds[family],
            "GFLOP a slice": work[family] / FURTHER[family][0] / 1e9,
            "share of peak": work[family] / seconds[family] / peak,
        }
        for family in runs
    ]
    table(f"training of further families, {size}x{size}, float32", rows)


def main() -> None:
    arguments = options(__doc__, size=128, batch=64)
    device = setup(arguments)
    rows = []
    small = min(8, arguments.batch)
    jobs = {
        "plain": (arguments.batch, torch.contiguous_format, "float32", default_allocator),
        "allocator": (arguments.batch, torch.contiguous_format, "float32", nullcontext),
        "ours": (arguments.batch, torch.channels_last, "float32", nullcontext),
        f"ours, batch {small}": (small, torch.channels_last, "float32", nullcontext),
        "ours, bfloat16": (arguments.batch, torch.channels_last, "bfloat16", nullcontext),
    }
    runs, work = {}, {}
    for name, (count, memory_format, precision, allocator) in jobs.items():
        parts = prepared(arguments.size, count, device, memory_format)
        work[name] = flops(lambda p=parts: training_step(*p))

        def run(parts=parts, precision=precision, allocator=allocator, count=count):
            with allocator():
                # As many slices for every variant.
                for _ in range(max(1, arguments.batch // count)):
                    training_step(*parts, precision)

        runs[name] = run
    seconds, peak = paired_with_peak(runs, arguments.repeats, device, arguments.clock)
    print(f"convolution peak {peak / 1e9:.0f} GFLOP/s (channels last, float32)")
    for name, (count, _, _, _) in jobs.items():
        steps = max(1, arguments.batch // count)
        rows.append(
            {
                "variant": name,
                f"slices/s ({arguments.clock})": count * steps / seconds[name],
                "times plain": seconds["plain"] / seconds[name] * count * steps / arguments.batch,
                "share of peak": work[name] * steps / seconds[name] / peak,
            }
        )
    table(f"training, {arguments.size}x{arguments.size}, batch {arguments.batch}", rows)
    further(arguments.size, arguments.repeats, device, arguments.clock)


if __name__ == "__main__":
    main()
