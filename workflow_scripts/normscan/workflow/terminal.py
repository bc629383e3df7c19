"""What a person sees of a run: a line per stage, everything that went wrong, the results.

Snakemake prints a paragraph per job, 3,000 lines for the demo; and told to be quiet about rules
(9.27) it says nothing of jobs that failed. Here its log file keeps every word, and the terminal
gets what is worth reading. Nothing of Snakemake is imported: its handlers, their formatters and
filters, and the events of its records are Python's own logging.
"""

from __future__ import annotations

import logging
import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from normscan.progress import duration

STREAM, FILE = "DefaultStreamHandler", "DefaultLogFileHandler"
HIDDEN = {
    "workflow_started",
    "job_info",
    "job_started",
    "job_finished",
    "group_info",
    "shellcmd",
    "resources_info",
}
# What Snakemake and its SLURM executor say of every run or job without naming an event.
CHATTER = re.compile(
    r"Using shell|Conda environments: ignored|Singularity containers: ignored|Group jobs: inactive"
    r"|Select jobs to execute|Complete log|Elapsed time|Job \d+ has been submitted with SLURM"
    r"|Submitted array job|Some jobs were triggered by provenance|Rules with provenance triggered"
)
NOTHING, DRY_RUN = "Nothing to be done", "This was a dry-run"
EVERY_JOB = "This was a dry run; snakemake -n --quiet host shows every job with its reason."
# Stages that end at once share a line; without any, the share that is done is told now and then,
# and less and less often in a run of hours.
SECONDS_BETWEEN_LINES = 5.0
SILENT_SECONDS, SILENT_SHARE = 30.0, 0.05


class Stages(logging.Filter):
    """Lets through what a person should see; progress comes as a line per finished stage.

    Parameters
    ----------
    title : of the run.
    logs : folder of the jobs' logs, named at the start.
    dryrun : the table of jobs is shown as it is, once.
    results : called when there is nothing to be done; gives the lines that name the results.
    clock : seconds.
    bar : lines of progress begin with a bar, for a terminal.
    """

    def __init__(
        self,
        title: str,
        logs: str,
        dryrun: bool = False,
        results: Callable[[], list[str]] = list,
        clock: Callable[[], float] = time.monotonic,
        bar: bool = False,
    ):
        super().__init__()
        self.title, self.logs, self.dryrun, self.results = title, logs, dryrun, results
        self.clock, self.bar = clock, bar
        self.begin = self.told = clock()
        self.planned: Counter[str] = Counter()
        self.running: dict[int, tuple[str, float]] = {}
        self.times: dict[str, list[float]] = defaultdict(list)
        self.finished: list[str] = []

    # Records carry what Snakemake adds to them, so their type says nothing.

    def filter(self, record: Any) -> bool:
        """Whether a record is shown; in which words is noted in its ``brief``."""
        if record.levelno >= logging.WARNING:
            self._failed(record)
            return True
        event = str(getattr(record, "event", None) or "")
        if event == "progress":
            return self._progress(record)
        if event == "run_info":
            return self._plan(record)
        if event == "job_info":
            self.running[record.jobid] = record.rule_name, self.clock()
        elif event == "job_finished":
            self._end(record.job_id)
        text = record.getMessage()
        if text.startswith(NOTHING) and not self.dryrun:
            record.brief = "\n".join([text, *self.results()])
        elif text.startswith(DRY_RUN):
            record.brief = EVERY_JOB
        return event not in HIDDEN and not CHATTER.match(text)

    def _plan(self, record: Any) -> bool:
        if self.planned:  # A dry run shows its table again at the end.
            return False
        self.planned = Counter(record.stats)
        jobs = self.planned.pop("total")
        self.begin = self.told = self.clock()
        if not self.dryrun:
            record.brief = f"{self.title}: {jobs} jobs; each writes its log below {self.logs}"
        return True

    def _failed(self, record: Any) -> None:
        if str(getattr(record, "event", "")) == "job_error":
            self.running.pop(record.jobid, None)

    def _end(self, job: int) -> None:
        rule, start = self.running.pop(job, ("", 0.0))
        if rule:
            self.times[rule].append(self.clock() - start)
            if len(self.times[rule]) == self.planned[rule]:
                self.finished.append(rule)

    def _progress(self, record: Any) -> bool:
        now = self.clock()
        silence = max(SILENT_SECONDS, SILENT_SHARE * (now - self.begin))
        pause = SECONDS_BETWEEN_LINES if self.finished else silence
        if now - self.told < pause and record.done < record.total:
            return False
        drawn = f"[{bar(record.done, record.total)}] " if self.bar else ""
        record.brief = drawn + self._line(record.done, record.total, now - self.begin)
        self.told, self.finished = now, []
        return True

    def _line(self, done: int, total: int, elapsed: float) -> str:
        if done >= total:
            return f"{total} of {total} jobs done in {duration(elapsed)}"
        parts = [f"{done} of {total} jobs ({100 * done // total} %) in {duration(elapsed)}"]
        left = self._left(elapsed)
        if left is not None:
            parts[0] += f", about {duration(_rounded(left))} left"
        if self.finished:
            parts.append(f"done: {', '.join(self.finished)}")
        elif self.running:
            names = sorted({rule for rule, _ in self.running.values()})
            parts.append(f"at work: {', '.join(names)}")
        return "; ".join(parts)

    def _left(self, elapsed: float) -> float | None:
        """Seconds left: what jobs of each rule took so far, side by side as they ran so far.

        Jobs of rules that have not run yet are taken as the median of the others.
        """
        means = {rule: statistics.fmean(times) for rule, times in self.times.items()}
        busy = sum(sum(times) for times in self.times.values())
        if not busy or not elapsed:
            return None
        usual = statistics.median(means.values())
        waiting = sum(
            max(count - len(self.times.get(rule, ())), 0) * means.get(rule, usual)
            for rule, count in self.planned.items()
        )
        return waiting / max(busy / elapsed, 1.0)


class Brief(logging.Formatter):
    """A record's ``brief`` where there is one, else what another formatter makes of it."""

    def __init__(self, other: logging.Formatter):
        super().__init__()
        self.other = other

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        return getattr(record, "brief", None) or self.other.format(record)


def show_stages(handlers: Iterable[logging.Handler], stages: Stages) -> None:
    """Let Snakemake's terminal handler show stages, and its log file hold everything.

    Parameters
    ----------
    handlers : of Snakemake's logger; others than its two own ones are left as they are.
    """
    for handler in handlers:
        own: list[Any] = handler.filters if handler.name in (STREAM, FILE) else []
        for one in own:
            one.quiet = set()
        if handler.name == STREAM:
            handler.filters = [stages]
            handler.setFormatter(Brief(handler.formatter or logging.Formatter()))


def bar(done: int, total: int, width: int = 20) -> str:
    """A share as a bar of characters: ``#####---------------``."""
    full = width * done // max(total, 1)
    return "#" * full + "-" * (width - full)


def _rounded(seconds: float) -> float:
    """To tens below three minutes, to minutes above: no better is known."""
    unit = 10 if seconds < 180 else 60
    return max(round(seconds / unit), 1) * unit


def result_lines(results: Iterable[tuple[str, str]]) -> list[str]:
    """One aligned line per result that exists: (what it is, its path)."""
    there = [(name, Path(path).absolute()) for name, path in results if Path(path).exists()]
    width = max((len(name) for name, _ in there), default=0)
    return [f"{name + ':':<{width + 1}} {path}" for name, path in there]
