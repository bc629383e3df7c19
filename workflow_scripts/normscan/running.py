"""Which jobs are at work: a run that is killed leaves its jobs behind, and they write on.

Every job has a file as long as it runs (``layout.RUNNING``): who it is, on which machine. One whose
process is gone is no job: it never stands in the way of another run.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from normscan.errors import NormscanError
from normscan.housekeeping import remove_partial
from normscan.layout import RUNNING

SLURM = "SLURM_JOB_ID"
QUEUE_SECONDS = 20
# As of ``/proc/PID/stat``: ended, but not yet fetched by their parents.
ENDED = ("Z", "X")
SHOWN = 10
FACTS = ("job", "key", "host", "pid", "machine", "start", "slurm")


@contextmanager
def at_work(results: str | Path, job: str, key: str = "") -> Generator[None]:
    """Let a job be known as one that is at work while the block runs.

    Parameters
    ----------
    job : its name for people.
    key : which job it is, ``rule/job``.
    """
    pid = os.getpid()
    path = Path(results, RUNNING, f"{socket.gethostname()}-{pid}.json")
    start, slurm = _state(pid)[1], os.environ.get(SLURM, "")
    facts = dict(zip(FACTS, (job, key, socket.gethostname(), pid, _machine(), start, slurm)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts), encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def busy(results: str | Path) -> set[str]:
    """Which jobs are said to be at work, ``rule/job``, those that were killed among them."""
    return {_facts(path).get("key", "") for path in Path(results, RUNNING).glob("*.json")}


def refuse_second_run(results: str | Path, submits_from: str | Path = "") -> None:
    """Stop where jobs of an earlier run are at work; else tidy up after those that were killed.

    Parameters
    ----------
    submits_from : folder of a run that submits its jobs: those that an earlier one left waiting in
        the SLURM queue are known by it. "": it submits none.

    Raises
    ------
    NormscanError : which jobs these are, and what to do.
    """
    known = {path: _facts(path) for path in sorted(Path(results, RUNNING).glob("*.json"))}
    # SLURM is asked only where it has something to say: without a cluster it takes its time.
    asked = submits_from or any(facts.get("slurm") for facts in known.values())
    queue = _queue() if asked else None
    found = {path: _is_alive(facts, queue) for path, facts in known.items()}
    if living := [facts for path, facts in known.items() if found[path]]:
        raise NormscanError(_refusal(results, living))
    if submits_from and (waiting := _waiting(queue or {}, submits_from)):
        raise NormscanError(_refusal(results, waiting))
    dead = [path for path, alive in found.items() if alive is False]
    # What is not known may be another machine's and at work.
    if dead and len(dead) == len(found):
        remove_partial(results)
    for path in dead:
        with suppress(OSError):
            path.unlink()


def _refusal(results: str | Path, jobs: list[dict[str, Any]]) -> str:
    lines = [f"  - {_said(job)}" for job in jobs[:SHOWN]]
    lines += [f"  - and {len(jobs) - SHOWN} more"] if len(jobs) > SHOWN else []
    slurm = sorted({job["slurm"] for job in jobs if job["slurm"]})
    pids = [str(job["pid"]) for job in jobs if not job["slurm"]]
    end = [f"scancel {' '.join(slurm)}"] if slurm else []
    end += [f"kill {' '.join(pids)}"] if pids else []
    return "\n".join(
        [
            f"jobs of an earlier run still write into {results}:",
            *lines,
            f"wait until they have ended, or end them ({'; '.join(end)}); then start again",
        ]
    )


def _said(job: Mapping[str, Any]) -> str:
    where = f"SLURM job {job['slurm']}" if job["slurm"] else f"process {job['pid']}"
    return f"{job['job']} ({where})"


def _facts(path: Path) -> dict[str, Any]:
    """What a job said of itself; of a file that was not written to its end, nothing."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return facts if set(FACTS) <= set(facts) else {}
    except (OSError, ValueError, TypeError):
        return {}


def _is_alive(facts: Mapping[str, Any], queue: Mapping[str, Any] | None) -> bool | None:
    """Whether a job is at work; None where nobody can tell from here."""
    if not facts:
        return False
    if facts["machine"] and facts["machine"] == _machine():
        state, start = _state(facts["pid"])
        return state not in ("", *ENDED) and start == facts["start"]
    # An allocation that several jobs share, this run among them, says nothing of one.
    if facts["slurm"] and queue is not None and facts["slurm"] != os.environ.get(SLURM):
        return facts["slurm"] in queue
    # The same name after a restart.
    restarted = facts["machine"].split()[:1] != _machine().split()[:1]
    return False if facts["host"] == socket.gethostname() and restarted else None


def _machine() -> str:
    """What processes with numbers of their own have in common; "" where nothing says so."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _state(pid: int) -> tuple[str, str]:
    """State of a process and when it started; "" twice where there is none.

    Numbers of processes are given again, but not with the same start.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]


def _queue() -> dict[str, tuple[str, str]] | None:
    """This user's SLURM jobs: number -> (folder, comment); None where SLURM does not answer."""
    command = ["squeue", "--noheader", "--user", str(os.getuid()), "--format", "%A|%Z|%k"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=QUEUE_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    if done.returncode:
        return None
    rows = (line.split("|", 2) for line in done.stdout.splitlines())
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}


def _waiting(queue: Mapping[str, tuple[str, str]], folder: str | Path) -> list[dict[str, Any]]:
    """Jobs that Snakemake submitted from a folder, by the comment that its executor gives them."""
    place, mark = os.path.abspath(folder), "rule_"
    return [
        {"job": comment.removeprefix(mark).split("_wildcards_")[0], "slurm": number, "pid": 0}
        for number, (where, comment) in queue.items()
        if os.path.abspath(where) == place and comment.startswith(mark)
    ]
