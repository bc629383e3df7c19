"""What the slurm profile asks for, as a dry run shows it: needs no cluster."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.workflow

JOB = re.compile(r"^rule (\w+):$.*?^ +resources: (.*?)$", re.MULTILINE | re.DOTALL)


def test_only_jobs_that_ask_for_a_gpu_go_to_its_partition(workflow):
    workflow.config["device"] = "auto"
    workflow.write()
    output = workflow.run("all", "--profile", "slurm", "--dry-run")
    seen = {}
    for rule, text in JOB.findall(output):
        asked = dict(pair.split("=", 1) for pair in text.split(", "))
        gpu, partition = int(asked.get("gpu", 0)), asked["slurm_partition"]
        assert (partition == "gpu") == (gpu == 1), (rule, text)
        seen.setdefault(rule, set()).add(partition)
    assert seen["train"] == seen["tune_detector"] == {"gpu"}
    # The baseline has no model.
    assert seen["detect"] == {"gpu", "cpu"}
    assert seen["register"] == seen["filter_maps"] == {"cpu"}
