"""Where and how torch computes: device, threads, determinism, precision, memory layout."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch.utils import deterministic

from normscan.compute.gpus import claim_gpu
from normscan.compute.memory import tune_allocator
from normscan.errors import ConfigError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def prepare_torch(device: str = "auto", threads: int = 1) -> torch.device:
    """Everything to be set once, before the first tensor: allocator, threads, determinism, GPU.

    Parameters
    ----------
    device : ``auto``, ``cpu`` or ``cuda`` (``cuda:1``).
    threads : CPU threads; trained weights may differ between numbers of threads.

    Returns
    -------
    device : the device to compute on; of several GPUs one that no other job computes on.
    """
    tune_allocator()
    torch.set_num_threads(threads)
    make_deterministic()
    chosen = choose_device(device)
    if chosen.type == "cuda" and chosen.index is None:
        count = torch.cuda.device_count()
        uuids = [str(torch.cuda.get_device_properties(index).uuid) for index in range(count)]
        # The device keeps its plain name: on which of several equal ones a training goes on after
        # an interruption makes no difference.
        torch.cuda.set_device(claim_gpu(uuids))
    return chosen


def make_deterministic() -> None:
    """Only algorithms that give the same bits every time."""
    # cuBLAS reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Would write every new tensor once more, only to make bugs reproducible.
    # (An attribute that torch makes at run time.)
    deterministic.fill_uninitialized_memory = False  # ty: ignore[missing-attribute]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device to compute on. ConfigError when it is not there.

    Parameters
    ----------
    device : ``auto`` (a GPU when there is one), ``cpu`` or ``cuda``.
    """
    name = str(device)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise ConfigError(f"device: found '{name}'; allowed: auto, cpu, cuda")
    chosen = torch.device(name)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device: found '{name}', but there is no usable GPU; write auto or cpu")
    return chosen


def choose_precision(precision: str, device: torch.device) -> str:
    """``float32``, ``bfloat16`` or ``float16``.

    Parameters
    ----------
    precision : one of these, or ``auto``: half precision on GPUs (bfloat16 where the GPU has it),
        float32 on CPUs.
    """
    if precision == "auto":
        if device.type != "cuda":
            return "float32"
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if precision not in PRECISIONS:
        allowed = ", ".join(["auto", *PRECISIONS])
        raise ConfigError(f"precision: found '{precision}'; allowed: {allowed}")
    if precision == "float16" and device.type != "cuda":
        raise ConfigError("precision: float16 needs a GPU; write auto, float32 or bfloat16")
    return precision


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Context in which a network computes in the given precision (not ``auto``)."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, PRECISIONS[precision])


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Generator[None]:
    """Torch's random numbers inside the block follow from ``seed``; outside nothing changes."""
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    """A batch of images (n, c, h, w) with the channels of a pixel side by side in memory."""
    return tensor.contiguous(memory_format=torch.channels_last)
