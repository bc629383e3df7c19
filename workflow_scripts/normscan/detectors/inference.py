"""Networks applied to slices: made ready, in batches on the device, from residuals to scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing.pool import ThreadPool
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from normscan.compute.devices import channels_last
from normscan.detectors.base import check_at_least
from normscan.networks.folding import simplify_for_inference
from normscan.slices.batch import Batch
from normscan.slices.batches import mapped

T = TypeVar("T")
# A GPU wants a whole scan at once; on a CPU 16 slices are as fast as more and need less memory.
BATCH_SIZES = {"cpu": 16, "cuda": 256}


def for_inference(model: Any, device: torch.device) -> Any:
    """A copy of a model on the device: evaluation mode, batch norms folded, no gradients."""
    simple = simplify_for_inference(model)
    return simple.to(device, memory_format=torch.channels_last)


def suitable_size(given: int | None, device: torch.device | str) -> int:
    """Slices computed at once: as given, else what suits the device."""
    if given is None:
        return BATCH_SIZES.get(torch.device(device).type, BATCH_SIZES["cpu"])
    return int(check_at_least("batch_size", given, 1))


def batches(
    scan: Batch[np.ndarray], size: int, device: torch.device
) -> Iterator[tuple[slice, Batch[Tensor]]]:
    """Where in the scan, and the slices there on the device (channels last)."""
    for start in range(0, len(scan), size):
        where = slice(start, min(start + size, len(scan)))

        def move(array: np.ndarray, where: slice = where) -> Tensor:
            # A copy: memory maps are read-only, and tensors must not be.
            own = torch.from_numpy(np.array(array[where])).to(device)
            return channels_last(own) if own.ndim == 4 else own

        yield where, mapped(scan, move)


def count_batches(scan: Batch[np.ndarray], size: int) -> int:
    """How many batches :func:`batches` gives."""
    return -(-len(scan) // size)


def each_batch(
    compute: Callable[[slice, Batch[Tensor]], T],
    scan: Batch[np.ndarray],
    size: int,
    device: torch.device,
) -> Iterator[tuple[slice, T]]:
    """Where in the scan, and ``compute(where, batch)``, for each of :func:`batches`, in order.

    On a CPU the threads compute a batch each, instead of sharing every operation of one batch:
    while one waits for memory (activations, the first and the last layer) another may compute.
    ``compute`` must not change anything outside, nor use torch's own random numbers.
    """
    threads = torch.get_num_threads()
    workers = min(threads, count_batches(scan, size)) if device.type == "cpu" else 1
    if workers < 2:
        for where, batch in batches(scan, size, device):
            yield where, compute(where, batch)
        return

    def work(part: tuple[slice, Batch[Tensor]]) -> tuple[slice, T]:
        return part[0], compute(*part)

    # Its threads are daemons: an interrupted job does not wait for their batches.
    with ThreadPool(workers, torch.set_num_threads, (threads // workers,)) as pool:
        try:
            yield from pool.imap(work, batches(scan, size, device))
        finally:
            # The number is also one of the process, for threads still to come.
            torch.set_num_threads(threads)


def elbo_and_gradient(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """``elbo_loss`` of each slice (n,) and its gradient with respect to that slice (n, c, h, w)."""
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        value = model.elbo_loss(leaf)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient


def signed_score(residual: Tensor) -> Tensor:
    """Score of each pixel (n, h, w) from a residual, input minus expectation (n, c, h, w).

    The mean over contrasts of the absolute residual, with the sign of the mean residual.
    """
    return with_sign(residual.abs().mean(dim=1), residual.mean(dim=1))


def with_sign(score: Tensor, mean: Tensor) -> Tensor:
    """``score`` (>= 0), negative where ``mean`` is; a mean of 0 keeps the score."""
    return torch.where(mean < 0, -score, score)
