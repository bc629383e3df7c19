"""What a training says while it runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from normscan.progress import PASSING, SECONDS_BETWEEN_LINES, duration

LOG = logging.getLogger("normscan")


class EpochReport:
    """Reports the epochs of one phase.

    Parameters
    ----------
    title : what is trained.
    done, limit : epochs there already are, and at most will be.
    unit : ``epoch``, or ``step`` where a phase is limited by steps: then those are counted.
    """

    def __init__(self, title: str, done: int, limit: int, unit: str = "epoch"):
        self.title, self.first, self.limit, self.unit = title, done, limit, unit
        self.start = time.monotonic()
        self.last = -float("inf")

    def epoch(
        self, done: int, losses: Mapping[str, float], validation: float | None, best: int
    ) -> None:
        """One more epoch is done.

        Parameters
        ----------
        done : its number, from 1; or the steps so far.
        losses : by name; the one called ``loss`` stands for all where it is among them.
        best : number of the best epoch so far, 0 when there is no validation.
        """
        names = ["loss"] if "loss" in losses else sorted(losses)
        shown = {name: f"{losses[name]:.4g}" for name in names}
        if validation is not None:
            shown |= {"validation": f"{validation:.5g}", "best": f"epoch {best}"}
        now = time.monotonic()
        if now - self.last < SECONDS_BETWEEN_LINES:
            return
        each = (now - self.start) / (done - self.first)
        facts = ", ".join(f"{name} {value}" for name, value in shown.items())
        left = duration(each * (self.limit - done))
        LOG.info(
            "%s: %s %d of at most %d, %s, %.2g s each, at most %s left",
            self.title,
            self.unit,
            done,
            self.limit,
            facts,
            each,
            left,
            extra=PASSING,
        )
        self.last = now

    def close(self, done: int, best: int, reason: str) -> None:
        """The phase is over after ``done`` epochs or steps."""
        kept = f"; best: epoch {best}" if best else ""
        LOG.info(
            "%s: %s after %s %d, in %s%s",
            self.title,
            reason,
            self.unit,
            done,
            duration(time.monotonic() - self.start),
            kept,
        )
