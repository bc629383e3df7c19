"""``snakemake --profile slurm`` on a real cluster: where jobs go, and what survives what.

Two studies run side by side from the start, and the disturbed ones beside them, all on one node.
"""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from submitted import LONG
from waiting import wait_for

pytestmark = pytest.mark.slurm

# Enough to see what a disturbance does to a job and to what follows.
TO_STRIPPED = ["--until", "strip_skull"]
# Seconds until a job runs that waits for others, on a busy machine.
SOON = 400


def one_running(workflow, rule: str, *others: str) -> str:
    """Wait for a job of a rule to run that is none of the others."""
    wait_for(lambda: workflow.running(rule, *others), f"a job of {rule}", SOON)
    return workflow.running(rule, *others)[0]


def undisturbed_volumes(sides) -> dict[str, bytes]:
    """What a study without any trouble has after skull stripping, once it has it."""
    one = sides[0]
    done = "preprocessed/*strip_skull-given/ms/*.json"
    wait_for(lambda: list(one.results.glob(done)), "stripped skulls", LONG, one.process)
    return one.stripped()


def test_jobs_that_were_cancelled_or_killed_are_run_again(sides, workflow, cluster):
    workflow.start(*TO_STRIPPED)
    cancelled = one_running(workflow, "register")
    cluster.call("scancel", cancelled)
    one_running(workflow, "register", cancelled)

    def one_failed() -> bool:
        for pid in workflow.scripts():
            os.kill(pid, signal.SIGKILL)
        return "FAILED" in workflow.attempts("register")

    wait_for(one_failed, "a killed job", SOON)
    workflow.finish()
    assert workflow.attempts("register") == ["CANCELLED", "FAILED", "COMPLETED"]
    assert workflow.no_remains()
    assert workflow.stripped() == undisturbed_volumes(sides)


def test_a_job_that_was_killed_for_memory_gets_more(sides, workflow):
    workflow.run(*TO_STRIPPED, "--set-resources", "register:mem_mb=250 if attempt < 2 else 2000")
    assert workflow.stripped() == undisturbed_volumes(sides) and workflow.no_remains()
    first, second = workflow.attempts("register")
    assert first != "COMPLETED" and second == "COMPLETED"


def test_requeued_jobs_and_a_restarted_node(sides, workflow, cluster):
    workflow.config["shard_size"] = 2
    workflow.write()
    workflow.start(*TO_STRIPPED)
    requeued = one_running(workflow, "register")
    wait_for(workflow.scripts, "its process", 60)
    cluster.call("scontrol", "requeue", requeued)
    # The other shard's, or the same one again.
    one_running(workflow, "register")
    cluster.stop_node()
    time.sleep(3)
    cluster.start_node()
    workflow.finish()
    assert workflow.stripped() == undisturbed_volumes(sides) and workflow.no_remains()
    assert workflow.attempts("register") == ["COMPLETED", "COMPLETED"], "no new submission"
    assert "Restarts=1" in cluster.call("scontrol", "show", "job", requeued)


def test_a_submission_that_was_killed_can_be_started_again_once_its_jobs_are_gone(
    sides, workflow, cluster
):
    workflow.start(*TO_STRIPPED)
    left = one_running(workflow, "register")
    workflow.stop()
    workflow.run("--unlock")
    said = workflow.fails(*TO_STRIPPED)
    assert "jobs of an earlier run still write" in said and f"(SLURM job {left})" in said
    cluster.call("scancel", left)
    wait_for(lambda: left not in cluster.call("squeue", "-h", "-o", "%A").split(), "its end", 60)
    workflow.run(*TO_STRIPPED)
    assert workflow.stripped() == undisturbed_volumes(sides) and workflow.no_remains()


def test_two_studies_at_the_same_time(sides):
    for side in sides:
        side.finish()
    one, other = sides
    assert one.stripped() == other.stripped()
    assert one.trained() == other.trained()
    assert one.products("metrics.tsv") == other.products("metrics.tsv")


@pytest.mark.usefixtures("late")
def test_gpu_rules_go_to_the_gpu_and_others_do_not(undisturbed, cluster):
    rules = {job["id"]: job["rule"] for job in undisturbed.jobs()}
    placed = {}
    for job, partition, gpu in cluster.seen():
        if job in rules:
            assert (partition == "gpu") == (gpu == "0"), (rules[job], partition, gpu)
            placed.setdefault(rules[job], set()).add((partition, gpu))
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


def test_equal_jobs_can_be_submitted_as_arrays(workflow):
    workflow.config["shard_size"] = 1
    workflow.write()
    workflow.run("--slurm-array-jobs=check_scans", "--until", "check_scans")
    ids = [job["id"] for job in workflow.jobs()]
    arrays = {one.split("_")[0] for one in ids if "_" in one}
    assert arrays and len(arrays) < sum("_" in one for one in ids), ids
    assert len(list(workflow.results.glob("checks/*/*.json"))) == 3


def test_a_training_killed_for_time_goes_on_and_ends_with_the_same_weights(late):
    workflow = late
    workflow.finish()
    assert workflow.attempts("train")[-2:] == ["TIMEOUT", "COMPLETED"]
    (log,) = workflow.results.glob("logs/train/**/long/*.log")
    assert "going on after epoch" in log.read_text()
    disturbed = workflow.trained("long")
    (folder,) = workflow.results.glob("models/**/long")
    shutil.rmtree(folder)
    assert not list(workflow.results.glob("checkpoints/*")), "checkpoints go with the last epoch"
    workflow.run("--until", "train")
    assert "going on after epoch" not in log.read_text()
    assert workflow.trained("long") == disturbed
