"""Which GPU a job computes on: on one machine nobody else shares them out."""

from __future__ import annotations

import fcntl
import getpass
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

LOG = logging.getLogger("normscan")
POLL_SECONDS = 1.0
REMIND_SECONDS = 60.0

# A claim lasts as long as its file is open, that is, as long as the process, however that ends.
_CLAIMS: dict[str, object] = {}


def claim_gpu(names: Sequence[str], folder: str | Path | None = None) -> int:
    """Wait for a GPU that no other job of this user computes on, and own it until the job ends.

    Parameters
    ----------
    names : names of the visible GPUs that are the same in all processes (their UUIDs).
    folder : where claims are kept; default: the machine's temporary folder (claims are a
        machine's own affair, so it must not be shared between machines).

    Returns
    -------
    index : position of the claimed GPU in ``names``.
    """
    folder = Path(folder or tempfile.gettempdir())
    reminded = -REMIND_SECONDS
    while True:
        for index, name in enumerate(names):
            if name in _CLAIMS or _claim(name, folder):
                return index
        if time.monotonic() - reminded > REMIND_SECONDS:
            LOG.info("waiting for a GPU: other jobs compute on all %d", len(names))
            reminded = time.monotonic()
        time.sleep(POLL_SECONDS)


def _claim(name: str, folder: Path) -> bool:
    safe = "".join(one if one.isalnum() else "-" for one in f"{getpass.getuser()}-{name}")
    # Opened for appending: nothing is written, and a file that is there stays as it is.
    file = (folder / f"normscan-gpu-{safe}.lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _CLAIMS[name] = file
    return True
