"""Jobs that are at work are known; what is left of dead ones never stands in the way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from normscan.errors import NormscanError
from normscan.running import at_work, busy, refuse_second_run
from waiting import wait_for

LIBRARY = Path(__file__).resolve().parents[2] / "workflow_scripts"
WAIT = """
import sys
sys.path.insert(0, sys.argv[1])
from normscan.running import at_work
with at_work(sys.argv[2], "train vae 0"):
    sys.stdin.read()
"""


@pytest.fixture
def job(tmp_path):
    """A job at work in a process of its own; it ends with its input."""
    command = [sys.executable, "-c", WAIT, str(LIBRARY), str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    wait_for(lambda: [one for one in records(tmp_path) if one.read_text()], "a record", 60, process)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Lines that ``squeue`` gives, to be changed; None: it fails."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "squeue"

    def answer(lines: str | None) -> None:
        text = f"printf '%s' '{lines}'" if lines is not None else "exit 1"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    answer(None)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return answer


def records(results: Path) -> list[Path]:
    return list(results.glob("running/*.json"))


def elsewhere(results: Path, **facts) -> Path:
    """A record of a job on another machine."""
    path = results / "running" / "node7-12.json"
    path.parent.mkdir(exist_ok=True)
    usual = {
        "job": "detect vae ms",
        "key": "detect/vae/ms",
        "host": "node7",
        "pid": 12,
        "machine": "x y",
        "start": "9",
    }
    path.write_text(json.dumps({**usual, "slurm": "", **facts}))
    return path


def leftover(results: Path) -> Path:
    """What a job that was killed left incomplete."""
    path = results / "maps" / ".00.npy.1a2b.partial.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_second_run_is_refused_while_a_job_is_at_work(tmp_path, job):
    with pytest.raises(NormscanError) as error:
        refuse_second_run(tmp_path)
    said = str(error.value)
    assert f"train vae 0 (process {job.pid})" in said and f"kill {job.pid}" in said
    job.communicate()
    assert records(tmp_path) == [], "its record goes with it"
    refuse_second_run(tmp_path)


def test_what_is_left_of_a_killed_job_is_tidied_up(tmp_path, job, queue):
    left, own = leftover(tmp_path), tmp_path / "maps" / ".simulated.json"
    own.touch()
    job.kill()
    # Nobody has asked yet how it ended: it is still in the table of processes.
    state = Path(f"/proc/{job.pid}/stat")
    wait_for(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", "its end")
    refuse_second_run(tmp_path)
    assert records(tmp_path) == [] and not left.exists() and own.exists()


def test_a_number_of_a_process_that_is_given_again_is_another_process(tmp_path, queue):
    with at_work(tmp_path, "report"):
        (path,) = records(tmp_path)
        facts = json.loads(path.read_text())
        path.write_text(json.dumps({**facts, "start": "1"}))
        refuse_second_run(tmp_path)
    assert records(tmp_path) == []


def test_jobs_at_work_say_which_they_are(tmp_path):
    with at_work(tmp_path, "train vae 0", "train/vae/seed-0"):
        assert busy(tmp_path) == {"train/vae/seed-0"}
    assert busy(tmp_path) == set()


def test_a_stopped_job_is_at_work(tmp_path, job):
    os.kill(job.pid, signal.SIGSTOP)
    with pytest.raises(NormscanError):
        refuse_second_run(tmp_path)


def test_of_another_machine_the_queue_knows(tmp_path, queue):
    path = elsewhere(tmp_path, slurm="812")
    left = leftover(tmp_path)
    queue("812|/somewhere|\n")
    with pytest.raises(NormscanError, match=r"detect vae ms \(SLURM job 812\)") as error:
        refuse_second_run(tmp_path)
    assert "scancel 812" in str(error.value)
    queue("813|/somewhere|\n")
    refuse_second_run(tmp_path)
    assert not path.exists() and not left.exists()


def test_whom_nobody_knows_stands_in_nobodys_way(tmp_path, queue, monkeypatch):
    path = elsewhere(tmp_path, slurm="812")
    left = leftover(tmp_path)
    refuse_second_run(tmp_path)  # SLURM does not answer.
    assert path.exists() and left.exists(), "it may be at work"
    queue("812|/somewhere|\n")
    monkeypatch.setenv("SLURM_JOB_ID", "812")
    refuse_second_run(tmp_path)  # An allocation that this run is in as well.


def test_submitted_jobs_that_wait_are_at_work(tmp_path, queue):
    queue(f"5|{tmp_path}|rule_train_wildcards_vae-0\n6|/elsewhere|rule_x\n7|{tmp_path}|mine\n")
    with pytest.raises(NormscanError, match=r"train \(SLURM job 5\)") as error:
        refuse_second_run(tmp_path, tmp_path)
    assert "scancel 5)" in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", '{"job": "x"}'])
def test_a_record_without_content_is_of_no_job(tmp_path, queue, text):
    elsewhere(tmp_path).write_text(text)
    refuse_second_run(tmp_path)
    assert records(tmp_path) == []
