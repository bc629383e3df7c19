"""``snakemake --profile slurm`` on a real cluster: where jobs go, and what survives what."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from cluster import wait_for

pytestmark = pytest.mark.slurm

LONG = 400
RULES = ("train", "detect", "register")


def running(cluster, rule: str) -> list[dict]:
    """Running jobs of a rule."""
    return [job for job in cluster.jobs() if job["state"] == "RUNNING" and rule in job["comment"]]


def finish(process: subprocess.Popen, workflow) -> str:
    """Wait for a submission and insist on success; what it printed."""
    process.wait(LONG)
    output = (workflow.folder / "submit.log").read_text()
    assert process.returncode == 0, output[-6000:]
    return output


def products(workflow) -> dict[str, bytes]:
    """What two equal runs have in common, byte by byte: weights, curves, metrics."""
    found = [*workflow.results.glob("models/**/*.safetensors"), workflow.results / "metrics.tsv"]
    return {str(path.relative_to(workflow.results)): path.read_bytes() for path in found}


def no_remains(workflow) -> bool:
    """No temporary file stands where a result is looked for."""
    return not [path for path in workflow.results.rglob("*.tmp*") if path.is_file()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, cluster):
    """A study that ran on the cluster without any trouble."""
    from conftest import SubmittedWorkflow

    workflow = SubmittedWorkflow(tmp_path_factory.mktemp("undisturbed"), cluster)
    workflow.shrink()
    before = len(cluster.seen())
    workflow.run("all")
    workflow.tasks = cluster.seen()[before:]
    return workflow


def test_gpu_rules_go_to_the_gpu_and_others_do_not(undisturbed, cluster):
    jobs = {job["id"]: job for job in cluster.jobs()}
    placed = Counter()
    for job, partition, gpu in undisturbed.tasks:
        comment = jobs[job]["comment"] if job in jobs else ""
        rule = next(
            (one for one in ("train", "detect", "register") if f"rule_{one}" in comment), ""
        )
        placed[rule, partition, gpu] += 1
        assert (partition == "gpu") == (gpu == "0"), (job, comment, partition, gpu)
    assert placed["train", "gpu", "0"] and placed["detect", "gpu", "0"]
    assert placed["register", "cpu", "none"]


def test_nothing_is_to_be_done_afterwards_and_one_model_reruns_alone(undisturbed):
    assert undisturbed.counts("all") == {}
    for path in (undisturbed.folder / "workflow_scripts").rglob("*.py"):
        path.touch()
    assert undisturbed.counts("all") == {}, "times as after a checkout"
    module = undisturbed.folder / "workflow_scripts" / "normscan" / "models" / "ae.py"
    before = module.read_text()
    module.write_text(before + "\nADDED = 1\n")
    counts = undisturbed.counts("all")
    module.write_text(before)
    assert counts["train"] == 1 and not {"register", "pack_slices", "normalise"} & set(counts)
    assert undisturbed.counts("all") == {}


def test_equal_jobs_can_be_submitted_as_arrays(workflow, cluster, undisturbed):
    workflow.shrink()
    workflow.config["shard_size"] = 1
    workflow.write()
    known = {job["id"] for job in cluster.jobs()}
    workflow.run("--slurm-array-jobs=all", "--until", "check_scans")
    arrays = {job["id"] for job in cluster.jobs()} - known
    assert any("_" in job for job in arrays), arrays


def test_a_training_beyond_its_time_limit_resumes_to_the_same_weights(workflow, cluster):
    workflow.shrink()
    # Long enough to be stopped once by a limit of one minute.
    workflow.protocol["models"]["ae"] |= {"max_epochs": 900, "patience": 900}
    workflow.write()
    # The second attempt gets more time.
    workflow.run("all", "--set-resources", "train:runtime=1 if attempt < 2 else 30")
    states = Counter(job["state"] for job in cluster.jobs() if "train" in job["comment"])
    assert states["TIMEOUT"] == 1
    log = next(workflow.results.glob("logs/train/**/*.log")).read_text()
    assert "going on after epoch" in log
    disturbed = products(workflow)
    import shutil

    shutil.rmtree(workflow.results / "models")
    shutil.rmtree(workflow.results / "checkpoints", ignore_errors=True)
    workflow.run("all")
    assert products(workflow) == disturbed


@pytest.mark.parametrize("how", ["scancel", "sigkill"])
def test_a_job_that_was_stopped_from_outside_is_run_again(workflow, cluster, undisturbed, how):
    workflow.shrink()
    process = workflow.submit("all")
    wait_for(lambda: running(cluster, "register"), "a registration", 120)
    job = running(cluster, "register")[0]["id"]
    if how == "scancel":
        cluster.call("scancel", job)
    else:
        wait_for(lambda: scripts_below(workflow.folder), "its process", 60)
        for pid in scripts_below(workflow.folder):
            os.kill(pid, signal.SIGKILL)
    finish(process, workflow)
    assert products(workflow) == products(undisturbed) and no_remains(workflow)


def scripts_below(folder: Path) -> list[int]:
    """Processes that run a script of a study's jobs."""
    found = subprocess.run(["pgrep", "-f", f"{folder}.*snakemake/scripts"], capture_output=True)
    return [int(pid) for pid in found.stdout.split()]


def test_jobs_survive_a_restart_of_the_node(workflow, cluster, undisturbed):
    workflow.shrink()
    process = workflow.submit("all")
    wait_for(lambda: running(cluster, "register"), "a registration", 120)
    cluster.stop_node()
    time.sleep(3)
    cluster.start_node()
    finish(process, workflow)
    assert products(workflow) == products(undisturbed) and no_remains(workflow)


def test_a_submission_that_was_killed_can_be_started_again(workflow, cluster, undisturbed):
    workflow.shrink()
    process = workflow.submit("all")
    wait_for(lambda: running(cluster, "register"), "a registration", 120)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    workflow.run("--unlock")
    workflow.run("all")
    assert products(workflow) == products(undisturbed) and no_remains(workflow)


def test_two_studies_at_the_same_time(tmp_path, cluster, undisturbed):
    from conftest import SubmittedWorkflow

    studies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        workflow = SubmittedWorkflow(tmp_path / name, cluster)
        workflow.shrink()
        studies.append((workflow.submit("all"), workflow))
    for process, workflow in studies:
        finish(process, workflow)
        assert products(workflow) == products(undisturbed)
