"""``snakemake --profile slurm`` on a real cluster: where jobs go, and what survives what."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from submitted import SubmittedWorkflow
from waiting import wait_for

pytestmark = pytest.mark.slurm

LONG = 600
# Enough to see what a disturbance does to a job and to what follows.
TO_STRIPPED = ["--until", "strip_skull"]


def rule_of(job: dict) -> str:
    """The rule of a job, from the comment that the executor gives it."""
    return job["comment"].removeprefix("rule_").split("_wildcards_")[0]


def running(cluster, rule: str, known: set[str] = frozenset()) -> list[str]:
    """Running jobs of a rule that are not among the known ones."""
    return [
        job["id"]
        for job in cluster.jobs()
        if job["state"] == "RUNNING" and rule_of(job) == rule and job["id"] not in known
    ]


def one_running(cluster, rule: str) -> str:
    """Wait for a job of a rule to run."""
    wait_for(lambda: running(cluster, rule), f"a job of {rule}", 180)
    return running(cluster, rule)[0]


def attempts(cluster, rule: str, known: set[str]) -> list[str]:
    """States of the jobs of a rule that are not among the known ones."""
    jobs = [job for job in cluster.jobs() if job["id"] not in known and rule_of(job) == rule]
    return [job["state"] for job in jobs]


def scripts_below(folder: Path) -> list[int]:
    """Processes that run a script of a study's jobs."""
    found = subprocess.run(["pgrep", "-f", f"{folder}.*snakemake/scripts"], capture_output=True)
    return [int(pid) for pid in found.stdout.split()]


def finish(process: subprocess.Popen, workflow) -> str:
    """Wait for a submission and insist on success; what it printed."""
    process.wait(LONG)
    output = (workflow.folder / "started.log").read_text()
    assert process.returncode == 0, output[-6000:]
    return output


def products(workflow, *patterns: str) -> dict[str, bytes]:
    """What two equal runs have in common, byte by byte."""
    found = [path for pattern in patterns for path in workflow.results.glob(pattern)]
    assert found, f"no {patterns} in {workflow.results}"
    return {str(path.relative_to(workflow.results)): path.read_bytes() for path in found}


def stripped(workflow) -> dict[str, bytes]:
    return products(workflow, "preprocessed/*strip_skull-given/**/*.nii.gz")


def trained(workflow, model: str = "ae") -> dict[str, bytes]:
    folder = f"models/**/{model}"
    return products(workflow, f"{folder}/**/*.safetensors", f"{folder}/**/curve.tsv")


def no_remains(workflow) -> bool:
    """No half-written file or folder stands where results are."""
    # Temporary names start with a dot; so does the record of a simulated scan.
    left = [path for path in workflow.results.rglob(".*") if path.name != ".simulated.json"]
    return left == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, cluster):
    """A study that ran on the cluster without any trouble."""
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


def test_jobs_that_were_cancelled_or_killed_are_run_again(workflow, cluster, undisturbed):
    workflow.shrink()
    known = {job["id"] for job in cluster.jobs()}
    process = workflow.start(*TO_STRIPPED)
    cancelled = one_running(cluster, "register")
    cluster.call("scancel", cancelled)
    wait_for(lambda: running(cluster, "register", known | {cancelled}), "another one", 180)

    def one_failed() -> bool:
        for pid in scripts_below(workflow.folder):
            os.kill(pid, signal.SIGKILL)
        return "FAILED" in attempts(cluster, "register", known)

    wait_for(one_failed, "a killed job", 120)
    finish(process, workflow)
    assert stripped(workflow) == stripped(undisturbed) and no_remains(workflow)
    states = attempts(cluster, "register", known)
    assert states.count("COMPLETED") == 2, "one of each cohort"
    assert set(states) == {"CANCELLED", "FAILED", "COMPLETED"}


def test_a_job_that_was_killed_for_memory_gets_more(workflow, cluster, undisturbed):
    workflow.shrink()
    known = {job["id"] for job in cluster.jobs()}
    workflow.run(*TO_STRIPPED, "--set-resources", "register:mem_mb=250 if attempt < 2 else 2000")
    assert stripped(workflow) == stripped(undisturbed) and no_remains(workflow)
    states = attempts(cluster, "register", known)
    assert states.count("COMPLETED") == 2 and len(states) == 4, states


def test_requeued_jobs_and_a_restarted_node(workflow, cluster, undisturbed):
    workflow.shrink()
    known = {job["id"] for job in cluster.jobs()}
    process = workflow.start(*TO_STRIPPED)
    requeued = one_running(cluster, "register")
    wait_for(lambda: scripts_below(workflow.folder), "its process", 60)
    cluster.call("scontrol", "requeue", requeued)
    wait_for(lambda: running(cluster, "register", known | {requeued}), "another one", 180)
    cluster.stop_node()
    time.sleep(3)
    cluster.start_node()
    finish(process, workflow)
    assert stripped(workflow) == stripped(undisturbed) and no_remains(workflow)
    assert attempts(cluster, "register", known) == ["COMPLETED", "COMPLETED"], "no new submission"
    assert "Restarts=1" in cluster.call("scontrol", "show", "job", requeued)


def test_a_submission_that_was_killed_can_be_started_again(workflow, cluster, undisturbed):
    workflow.shrink()
    process = workflow.start(*TO_STRIPPED)
    one_running(cluster, "register")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    workflow.run("--unlock")
    workflow.run(*TO_STRIPPED)
    assert stripped(workflow) == stripped(undisturbed) and no_remains(workflow)


def test_two_studies_at_the_same_time(tmp_path, cluster, undisturbed):
    studies = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        workflow = SubmittedWorkflow(tmp_path / name, cluster)
        workflow.shrink()
        studies.append((workflow.start("results/metrics.tsv"), workflow))
    for process, workflow in studies:
        finish(process, workflow)
        assert stripped(workflow) == stripped(undisturbed)
        assert trained(workflow) == trained(undisturbed)
        assert products(workflow, "metrics.tsv") == products(undisturbed, "metrics.tsv")


# Adds a model to the undisturbed study: the tests that look at that one come before.
def test_a_training_killed_for_time_goes_on_and_ends_with_the_same_weights(undisturbed, cluster):
    workflow = undisturbed
    workflow.protocol["approaches"]["long"] = {"model": "long", "detector": "reconstruction"}
    states = []
    # A minute is the shortest limit there is, and machines differ in what they do in a minute.
    for epochs in (2000, 8000, 32000):
        long = {**workflow.protocol["models"]["ae"], "max_epochs": epochs, "patience": epochs}
        workflow.protocol["models"]["long"] = long
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
    (log,) = workflow.results.glob("logs/train/**/long/*.log")
    assert "going on after epoch" in log.read_text()
    disturbed = trained(workflow, "long")
    (folder,) = workflow.results.glob("models/**/long")
    shutil.rmtree(folder)
    assert not list(workflow.results.glob("checkpoints/*")), "checkpoints go with the last epoch"
    workflow.run("--until", "train")
    assert "going on after epoch" not in log.read_text()
    assert trained(workflow, "long") == disturbed
