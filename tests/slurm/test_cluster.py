"""``snakemake --profile slurm`` on a real cluster: where jobs go, and what survives what."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cluster import wait_for

pytestmark = pytest.mark.slurm

LONG = 600
# Everything up to the slices: enough to see what a disturbance does to a job and to what follows.
TO_SLICES = ["--until", "pack_slices"]


def rule_of(job: dict) -> str:
    """The rule of a job, from the comment that the executor gives it."""
    return job["comment"].removeprefix("rule_").split("_wildcards_")[0]


def running(cluster, rule: str) -> list[dict]:
    """Running jobs of a rule."""
    return [job for job in cluster.jobs() if job["state"] == "RUNNING" and rule_of(job) == rule]


def finish(process: subprocess.Popen, workflow) -> str:
    """Wait for a submission and insist on success; what it printed."""
    process.wait(LONG)
    output = (workflow.folder / "submit.log").read_text()
    assert process.returncode == 0, output[-6000:]
    return output


def products(workflow, *patterns: str) -> dict[str, bytes]:
    """What two equal runs have in common, byte by byte."""
    found = [path for pattern in patterns for path in workflow.results.glob(pattern)]
    assert found, f"no {patterns} in {workflow.results}"
    return {str(path.relative_to(workflow.results)): path.read_bytes() for path in found}


def slices(workflow) -> dict[str, bytes]:
    return products(workflow, "slices/**/*.npy")


def weights(workflow) -> dict[str, bytes]:
    return products(workflow, "models/**/*.safetensors", "models/**/curve.tsv")


def everything(workflow) -> dict[str, bytes]:
    return {**slices(workflow), **weights(workflow), **products(workflow, "metrics.tsv")}


def no_remains(workflow) -> bool:
    """No half-written file or folder stands where results are."""
    # Temporary names start with a dot; so does the record of a simulated scan.
    left = [path for path in workflow.results.rglob(".*") if path.name != ".simulated.json"]
    return left == []


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
    placed = {}
    for job, partition, gpu in undisturbed.tasks:
        assert (partition == "gpu") == (gpu == "0"), (jobs[job], partition, gpu)
        placed.setdefault(rule_of(jobs[job]), set()).add((partition, gpu))
    assert placed["train"] == placed["detect"] == {("gpu", "0")}
    others = [where for rule, where in placed.items() if rule not in ("train", "detect")]
    assert all(where == {("cpu", "none")} for where in others)
    assert {"register", "segment", "report"} <= set(placed)


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


def test_equal_jobs_can_be_submitted_as_arrays(workflow, cluster):
    workflow.shrink()
    workflow.config["shard_size"] = 1
    workflow.write()
    known = {job["id"] for job in cluster.jobs()}
    workflow.run("--slurm-array-jobs=check_scans", "--until", "check_scans")
    new = [job for job in cluster.jobs() if job["id"] not in known]
    arrays = {job["id"].split("_")[0] for job in new if "_" in job["id"]}
    assert arrays and len(arrays) < sum("_" in job["id"] for job in new), new
    assert len(list(workflow.results.glob("checks/*/*.json"))) == 6


def test_a_training_killed_for_time_goes_on_and_ends_with_the_same_weights(workflow, cluster):
    workflow.shrink()
    workflow.run(*TO_SLICES)
    states = []
    # A minute is the shortest limit there is, and machines differ in what they do in a minute.
    for epochs in (2000, 8000, 32000):
        workflow.protocol["models"]["ae"] |= {"max_epochs": epochs, "patience": epochs}
        workflow.write()
        known = {job["id"] for job in cluster.jobs()}
        # A second attempt gets more time than the first.
        limits = ["train:slurm_partition=gpu", "train:runtime=1 if attempt < 2 else 30"]
        workflow.run("--until", "train", "--set-resources", *limits)
        jobs = [job for job in cluster.jobs() if job["id"] not in known]
        jobs.sort(key=lambda job: int(job["id"]))
        states = [job["state"] for job in jobs if rule_of(job) == "train"]
        if states != ["COMPLETED"]:
            break
    assert states == ["TIMEOUT", "COMPLETED"]
    log = next(workflow.results.glob("logs/train/**/*.log")).read_text()
    assert "going on after epoch" in log
    disturbed = weights(workflow)
    shutil.rmtree(workflow.results / "models")
    assert not list(workflow.results.glob("checkpoints/*")), "checkpoints go with the last epoch"
    workflow.run("--until", "train")
    log = next(workflow.results.glob("logs/train/**/*.log")).read_text()
    assert "going on after epoch" not in log
    assert weights(workflow) == disturbed


@pytest.mark.parametrize("how", ["scancel", "sigkill", "memory", "requeue", "node"])
def test_a_job_that_was_stopped_from_outside_is_run_again(workflow, cluster, undisturbed, how):
    workflow.shrink()
    more = []
    if how == "memory":
        more = ["--set-resources", "register:mem_mb=20 if attempt < 2 else 2000"]
    process = workflow.submit(*TO_SLICES, *more)
    known = {job["id"] for job in cluster.jobs()}
    wait_for(lambda: running(cluster, "register"), "a registration", 180)
    job = running(cluster, "register")[0]["id"]
    if how == "scancel":
        cluster.call("scancel", job)
    elif how == "sigkill":
        wait_for(lambda: scripts_below(workflow.folder), "its process", 60)
        for pid in scripts_below(workflow.folder):
            os.kill(pid, signal.SIGKILL)
    elif how == "requeue":
        wait_for(lambda: scripts_below(workflow.folder), "its process", 60)
        cluster.call("scontrol", "requeue", job)
    elif how == "node":
        cluster.stop_node()
        time.sleep(3)
        cluster.start_node()
    finish(process, workflow)
    assert slices(workflow) == slices(undisturbed) and no_remains(workflow)
    attempts = [
        one["state"]
        for one in cluster.jobs()
        if one["id"] not in known and rule_of(one) == "register"
    ]
    if how in ("scancel", "sigkill", "memory"):
        assert len(attempts) > 2 and attempts.count("COMPLETED") == 2, attempts
    else:
        assert attempts == ["COMPLETED", "COMPLETED"]


def scripts_below(folder: Path) -> list[int]:
    """Processes that run a script of a study's jobs."""
    found = subprocess.run(["pgrep", "-f", f"{folder}.*snakemake/scripts"], capture_output=True)
    return [int(pid) for pid in found.stdout.split()]


def test_a_submission_that_was_killed_can_be_started_again(workflow, cluster, undisturbed):
    workflow.shrink()
    process = workflow.submit(*TO_SLICES)
    wait_for(lambda: running(cluster, "register"), "a registration", 180)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    workflow.run("--unlock")
    workflow.run(*TO_SLICES)
    assert slices(workflow) == slices(undisturbed) and no_remains(workflow)


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
        assert everything(workflow) == everything(undisturbed)
