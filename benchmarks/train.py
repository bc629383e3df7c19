"""Training steps of the unified VAE: as written first, and as the workflow does them.

``plain`` has the C library's own memory settings and images in plain memory order; ``ours`` has
both as the training jobs set them. Prints slices per second, ratios, and the share of the machine's
fastest convolution that forward and backward passes reach.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from common import default_allocator, flops, options, paired_with_peak, setup, table
from steps import prepared, training_step


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


if __name__ == "__main__":
    main()
