"""Memory settings of the C library that tensors on the CPU live from."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
LARGEST = 2**31 - 1


def tune_allocator(mmap_threshold: int = LARGEST, trim_threshold: int = LARGEST) -> bool:
    """Keep freed memory in the process instead of returning it to the system at every step.

    By default glibc maps every large tensor anew and unmaps it afterwards, so that each training
    step touches all its pages for the first time again. Threads besides the first have pools of
    their own, too small for large tensors whatever the thresholds: here all threads share one.

    Parameters
    ----------
    mmap_threshold, trim_threshold : bytes; see mallopt(3).

    Returns
    -------
    done : False where there is no glibc (macOS, Windows, musl); nothing is changed there.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    wanted = {
        M_MMAP_THRESHOLD: mmap_threshold,
        M_TRIM_THRESHOLD: trim_threshold,
        M_ARENA_MAX: 1,
    }
    return all([mallopt(name, value) for name, value in wanted.items()])
