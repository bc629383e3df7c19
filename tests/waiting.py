"""Waiting for what other processes do."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable


def wait_for(
    condition: Callable[[], object],
    what: str,
    seconds: float = 60,
    process: subprocess.Popen | None = None,
) -> None:
    """Wait until a condition holds.

    Raises
    ------
    TimeoutError : it did not within ``seconds``.
    RuntimeError : ``process``, which should bring it about, has ended.
    """
    end = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the process ended before there was {what}")
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)
