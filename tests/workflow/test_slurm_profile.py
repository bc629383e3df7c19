"""What the slurm profile asks for, as a dry run shows it: needs no cluster."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.workflow

JOB = re.compile(r"^rule (\w+):$.*?^ +resources: (.*?)$", re.MULTILINE | re.DOTALL)


def jobs(workflow, **changes):
    """Rule and resources of every job of the whole study under a changed configuration."""
    workflow.config.update(changes)
    workflow.write()
    output = workflow.run("all", "--profile", "slurm", "--dry-run", "--quiet=host")
    return [
        (rule, dict(pair.split("=", 1) for pair in text.split(", ")))
        for rule, text in JOB.findall(output)
    ]


def test_only_jobs_that_ask_for_a_gpu_go_to_its_partition(workflow):
    seen = {}
    for rule, asked in jobs(workflow, device="auto"):
        gpu, partition = int(asked.get("gpu", 0)), asked["slurm_partition"]
        assert (partition == "gpu") == (gpu == 1), (rule, asked)
        seen.setdefault(rule, set()).add(partition)
    assert seen["train"] == seen["tune_detector"] == {"gpu"}
    # The baseline has no model.
    assert seen["detect"] == {"gpu", "cpu"}
    assert seen["register"] == seen["filter_maps"] == {"cpu"}


def test_detection_asks_for_memory_for_every_thread(workflow):
    asked = {}
    for threads in (1, 5):
        for rule, resources in jobs(workflow, threads=threads):
            asked.setdefault(rule, []).append(int(resources["mem_mb"]))
    for rule in ("detect", "tune_detector"):
        few, many = min(asked[rule]), max(asked[rule])
        assert many - few >= 4 * 500, rule
    assert min(asked["train"]) == max(asked["train"])
