"""Faults around a run: killed and ended submitters, a full disk, a folder that is read-only."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tiny_study import Workflow
from waiting import wait_for

pytestmark = pytest.mark.workflow
AIM = ("--until", "register")


def shrunk(workflow: Workflow) -> Workflow:
    """A study of two patients without models."""
    workflow.without_models()
    workflow.config["cohorts"]["ms"]["exclude"] = ["sub-03"]
    workflow.config["split"]["patients_validation"] = 0
    workflow.protocol["threshold_rules"] = [{"otsu": {}}]
    workflow.write()
    return workflow


@pytest.fixture(scope="module")
def registered(tmp_path_factory) -> dict[str, bytes]:
    """Volumes of a study that nothing happened to."""
    workflow = shrunk(Workflow(tmp_path_factory.mktemp("undisturbed")))
    workflow.run(*AIM)
    return volumes(workflow)


@pytest.fixture
def small_workflow(workflow) -> Workflow:
    """A fresh study that is over soon."""
    return shrunk(workflow)


def volumes(workflow: Workflow) -> dict[str, bytes]:
    """Registered volumes, by name."""
    found = workflow.results.glob("preprocessed/*robex-6mm/ms/sub-*/*.nii.gz")
    return {path.name: path.read_bytes() for path in found}


def at_work(workflow: Workflow, rule: str = "register") -> list[int]:
    """Processes of jobs of a rule."""
    found = workflow.results.glob("running/*.json")
    return [int(path.stem.rpartition("-")[2]) for path in found if rule in path.read_text()]


def partial(workflow: Workflow) -> list[Path]:
    return list(workflow.results.rglob(".*partial*"))


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system in memory at a folder; the test is skipped where none can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", *options, "normscan-test", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("cannot mount a file system here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_jobs_that_a_killed_run_left_are_waited_for(small_workflow, registered):
    workflow = small_workflow
    process = workflow.start(*AIM)
    wait_for(lambda: at_work(workflow) and partial(workflow), "a job at work", 300, process)
    process.kill()
    process.wait()
    (job,) = at_work(workflow)
    os.kill(job, signal.SIGSTOP)
    try:
        workflow.run("--unlock")
        assert workflow.counts(*AIM), "a dry run writes nothing"
        said = workflow.fails(*AIM)
        assert "jobs of an earlier run still write into results:" in said
        assert f" ms 00 (process {job})" in said
        assert f"kill {job}" in said and "Traceback" not in said
    finally:
        os.kill(job, signal.SIGKILL)
    assert partial(workflow)
    # No lock is left of the run that was refused, and nobody is at work.
    workflow.run(*AIM)
    assert volumes(workflow) == registered
    assert not at_work(workflow) and not partial(workflow)


def interrupt(process: subprocess.Popen) -> None:
    """What Ctrl-C sends: SIGINT to all processes at the terminal."""
    os.killpg(process.pid, signal.SIGINT)


@contextmanager
def interruptible() -> Iterator[None]:
    """Processes started here can be interrupted, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("end", [subprocess.Popen.terminate, interrupt])
def test_a_run_that_is_told_to_end_ends_with_its_jobs(small_workflow, registered, end):
    workflow = small_workflow
    with interruptible():
        process = workflow.start(*AIM)
    wait_for(lambda: at_work(workflow), "a job at work", 300, process)
    end(process)
    assert process.wait(300) != 0
    assert not at_work(workflow)
    counts = workflow.counts("--until", "strip_skull")
    if end is interrupt:
        assert counts["strip_skull"] == 1
    else:
        # The job has ended; what is done is not done again.
        assert volumes(workflow) == registered and not partial(workflow)
        assert counts == {"strip_skull": 1}
    # The run left no lock.
    workflow.run("--until", "strip_skull")
    assert volumes(workflow) == registered and not partial(workflow)


def test_a_disk_that_is_full_is_said_and_the_rest_is_made_once_there_is_room(
    small_workflow, registered
):
    workflow = small_workflow
    with mounted(workflow.results, "-o", "size=120k"):
        said = workflow.fails(*AIM)
        assert "No space left on device" in said and "fault of the machine" in said
        assert "Traceback" not in said
        assert not partial(workflow)
        subprocess.run(["mount", "-o", "remount,size=64m", str(workflow.results)], check=True)
        workflow.run(*AIM)
        assert volumes(workflow) == registered and not partial(workflow)


def test_results_that_cannot_be_written_are_refused_when_the_run_is_planned(small_workflow):
    workflow = small_workflow
    workflow.config["results"] = "out/results"
    workflow.write()
    with mounted(workflow.folder / "out", "-o", "ro"):
        said = workflow.fails("--dry-run", "all")
    assert "config.results: " in said and "cannot be written" in said
    assert "Traceback" not in said
