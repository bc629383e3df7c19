"""Jobs that are killed in the middle go on where they stopped, with the same result."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tiny_study import Workflow
from waiting import wait_for

pytestmark = pytest.mark.workflow

REGISTERED = "raw+register-rigid-robex-6mm/ms/*/record.json"


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to Snakemake and to everything that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.rglob(pattern)
    return found


@pytest.fixture
def killed(tmp_path_factory) -> Workflow:
    """A study that has not run, in a folder with a name as long as that of ``small``.

    Manifests hold absolute paths, and the report says how many bytes files take.
    """
    return Workflow(tmp_path_factory.mktemp("again"))


def test_killed_jobs_resume_and_end_with_the_same_result(killed, small):
    workflow = killed
    assert len(str(workflow.folder)) == len(str(small.folder))
    workflow.train_long()
    target = workflow.results / "metrics.tsv"
    arguments = ("results/metrics.tsv",)

    # Killed while a scan of a shard is registered and another is done.
    process = workflow.start(*arguments)
    records = workflow.results / "preprocessed"
    wait_for(lambda: list(records.glob(REGISTERED)), "a registered scan", 300, process)
    kill(process)
    assert not target.exists()
    done = {path: path.stat().st_mtime_ns for path in records.glob(REGISTERED)}
    workflow.run("--unlock")

    # Killed in the middle of training.
    process = workflow.start(*arguments)
    checkpoints = workflow.results / "checkpoints"
    wait_for(lambda: len(list(checkpoints.rglob("*.json"))) >= 2, "checkpoints", 300, process)
    kill(process)
    assert not list(workflow.results.rglob("weights.safetensors"))
    for path, written in done.items():
        assert path.stat().st_mtime_ns == written, "a scan that was done was computed again"
    workflow.run("--unlock")

    workflow.run("all")
    log = only(workflow.results / "logs" / "train", "seed-0.log").read_text()
    assert "going on after epoch" in log

    # The same study in another folder, undisturbed.
    for name in ("weights.safetensors", "curve.tsv", "curve.png"):
        resumed, undisturbed = (only(w.results / "models", name) for w in (workflow, small))
        assert resumed.read_bytes() == undisturbed.read_bytes(), name
    assert target.read_bytes() == (small.results / "metrics.tsv").read_bytes()
    resumed, undisturbed = workflow.pages(), small.first_pages
    assert "report.html" in resumed and any(name.startswith("patients/") for name in resumed)
    assert list(resumed) == list(undisturbed)
    for name, page in resumed.items():
        assert page == undisturbed[name], name
    assert not list(workflow.results.rglob(".*.partial"))
