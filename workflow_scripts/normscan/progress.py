"""Progress of long work: a bar at a terminal, a log line now and then otherwise."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
LOG = logging.getLogger("normscan")
SECONDS_BETWEEN_LINES = 15.0


def progress(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Yield ``items``, showing how many are done and the time left.

    At a terminal a tqdm bar; otherwise at most one log line every 15 seconds and one at the end.
    """
    if total is None:
        if not isinstance(items, Sized):
            raise TypeError("progress: give the total of items that have no length")
        total = len(items)
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=title, total=total, leave=False)
        return
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            left = (now - start) / done * (total - done)
            LOG.info("%s: %d of %d, %s left", title, done, total, duration(left))
            last = now
    LOG.info("%s: %d of %d in %s", title, done, total, duration(time.monotonic() - start))


def duration(seconds: float) -> str:
    """A duration for people: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    seconds = int(round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
