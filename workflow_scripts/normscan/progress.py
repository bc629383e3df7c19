"""Progress of long work: a log line now and then."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
LOG = logging.getLogger("normscan")
SECONDS_BETWEEN_LINES = 15.0
# Marks records that tell how far work is: a terminal, where many jobs speak, shows few of them.
PASSING = {"passing": True}


def progress(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Yield ``items``, logging how many are done and the time left.

    At most one line every 15 seconds and one at the end.
    """
    if total is None:
        if not isinstance(items, Sized):
            raise TypeError("progress: give the total of items that have no length")
        total = len(items)
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            left = duration((now - start) / done * (total - done))
            LOG.info("%s: %d of %d, %s left", title, done, total, left, extra=PASSING)
            last = now
    LOG.info("%s: %d of %d in %s", title, done, total, duration(time.monotonic() - start))


class Seldom(logging.Filter):
    """Lets warnings and errors through, and progress once a minute, later ever less often.

    Parameters
    ----------
    seconds : the least between two lines of progress, and before the first.
    share : the least between two lines as a share of the time that has passed.
    """

    def __init__(self, seconds: float = 60.0, share: float = 0.1):
        super().__init__()
        self.seconds, self.share = seconds, share
        self.start = self.last = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is shown."""
        if record.levelno >= logging.WARNING:
            return True
        now = time.monotonic()
        pause = max(self.seconds, self.share * (now - self.start))
        if not getattr(record, "passing", False) or now - self.last < pause:
            return False
        self.last = now
        return True


def duration(seconds: float) -> str:
    """A duration for people: ``42 s``, ``3 min 05 s``, ``2 h 10 min``."""
    seconds = int(round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
