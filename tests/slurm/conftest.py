"""A SLURM cluster for the tests, and tiny studies that are submitted to it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from cluster import Cluster, missing
from submitted import LONG, SubmittedWorkflow
from waiting import wait_for


# A folder without __init__.py is no package: with that scope the cluster would run to the very end.
@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A running cluster; the tests that need it are skipped where none can be started."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    one = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def workflow(tmp_path, cluster) -> SubmittedWorkflow:
    """A fresh study without models for the cluster."""
    one = SubmittedWorkflow(tmp_path, cluster)
    one.without_models()
    return one


@pytest.fixture(scope="module")
def sides(tmp_path_factory, cluster) -> Iterator[tuple[SubmittedWorkflow, SubmittedWorkflow]]:
    """Two equal studies with a model, which run while tests do something else.

    The first as far as its report, the second as far as its metrics.
    """
    studies = []
    try:
        for target in ("all", "results/metrics.tsv"):
            studies.append(SubmittedWorkflow(tmp_path_factory.mktemp("side"), cluster))
            studies[-1].shrink()
            studies[-1].start(target)
        yield tuple(studies)
    finally:
        for study in studies:
            study.stop()


@pytest.fixture
def undisturbed(sides) -> SubmittedWorkflow:
    """A study that ran on the cluster without any trouble."""
    sides[0].finish()
    return sides[0]


@pytest.fixture(scope="module")
def late(sides) -> SubmittedWorkflow:
    """The second study with a further training, which stands still until its time is over.

    A minute is the shortest limit there is; other tests run meanwhile.
    """
    workflow = sides[1]
    workflow.finish()
    long = {**workflow.protocol["models"]["ae"], "max_epochs": 300, "patience": 300}
    workflow.protocol["models"]["long"] = long
    workflow.protocol["approaches"]["long"] = {"model": "long", "detector": "reconstruction"}
    workflow.write()
    # A second attempt gets more time than the first.
    limits = ["train:slurm_partition=gpu", "train:runtime=1 if attempt < 2 else 30"]
    process = workflow.start("--until", "train", "--set-resources", *limits)
    checkpoints = workflow.results / "checkpoints"
    wait_for(lambda: len(list(checkpoints.rglob("*.json"))) >= 2, "checkpoints", LONG, process)
    for pid in workflow.scripts():
        os.kill(pid, signal.SIGSTOP)
    return workflow
