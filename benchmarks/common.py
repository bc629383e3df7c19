"""What benchmarks share: paired runs in turn, the machine's convolution peak, tables."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow_scripts"))

from normscan.compute.devices import prepare_torch
from normscan.compute.memory import tune_allocator

ROOT = Path(__file__).resolve().parents[1]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def options(description: str, **defaults) -> argparse.Namespace:
    """Command line: device, threads, repeats, clock and further ones with their defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a busy machine")
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    return parser.parse_args()


def setup(arguments: argparse.Namespace) -> torch.device:
    """Prepare torch as every job does, and say on what is measured."""
    device = prepare_torch(arguments.device, arguments.threads)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    print(f"{name}, {arguments.threads} threads, torch {torch.__version__}")
    return device


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "CPU"
    return next((l.split(":")[1].strip() for l in lines if l.startswith("model name")), "CPU")


@contextmanager
def default_allocator() -> Iterator[None]:
    """As if the allocator had not been tuned: glibc's limits after its own adaptation."""
    tune_allocator(mmap_threshold=32 << 20, trim_threshold=64 << 20)
    try:
        yield
    finally:
        tune_allocator()


def paired(
    variants: Mapping[str, Callable[[], object]],
    repeats: int = 5,
    device: torch.device | None = None,
    warmup: int = 1,
    clock: str = "wall",
    settle: bool = False,
) -> dict[str, float]:
    """Median seconds of each variant; the variants take turns, so that drifts hit all alike.

    Parameters
    ----------
    clock : ``wall``, or ``cpu`` for the time of all threads together, which other programs on the
        machine disturb less.
    settle : call each variant once before each measurement; needed where variants change the
        allocator, since memory that one of them gave back is touched anew by the next.
    """
    now = CLOCKS[clock]
    warmup = 0 if settle else warmup
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(warmup + repeats):
        for name, run in variants.items():
            if settle:
                run()
            _wait(device)
            start = now()
            run()
            _wait(device)
            if turn >= warmup:
                times[name].append(now() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def _wait(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def flops(run: Callable[[], object]) -> int:
    """Floating point operations of a call (convolutions and matrix products)."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def paired_with_peak(
    variants: Mapping[str, Callable[[], object]],
    repeats: int,
    device: torch.device,
    clock: str = "wall",
) -> tuple[dict[str, float], float]:
    """:func:`paired`, settled, and the FLOP/s of this machine's fastest convolution meanwhile.

    The convolutions take their turns among the variants: the speed of a machine, a virtual one
    above all, changes by more from minute to minute than what shares of a peak are to show.
    """
    convolutions = _convolutions(device)
    runs = {**variants, **{name: run for name, (run, _) in convolutions.items()}}
    seconds = paired(runs, repeats, device, clock=clock, settle=True)
    rates = [work / seconds.pop(name) for name, (_, work) in convolutions.items()]
    return seconds, max(rates)


def _convolutions(device: torch.device) -> dict[str, tuple[Callable[[], object], int]]:
    """Some large channels_last convolutions, forward only, with their FLOP."""
    found = {}
    for channels, size, kernel in ((128, 32, 5), (128, 64, 3), (256, 32, 3)):
        layer = torch.nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        layer = layer.to(device, memory_format=torch.channels_last).requires_grad_(False)
        images = torch.rand(32, channels, size, size, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        work = 2 * channels**2 * kernel**2 * size**2 * len(images)
        name = f"convolution {channels}x{size}x{size}, {kernel}x{kernel}"
        found[name] = (partial(layer, images), work)
    return found


def table(title: str, rows: list[Mapping[str, object]]) -> None:
    """Print rows as columns of text."""
    print(f"\n{title}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *[[_text(row.get(name, "")) for name in names] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths)))


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
