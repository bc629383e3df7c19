"""A SLURM cluster for the tests, and tiny studies that are submitted to it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cluster import Cluster, missing
from tiny_study import Workflow

# States are asked for every second; a common cluster is asked less often.
QUICK = [
    "--slurm-init-seconds-before-status-checks=1",
    "--seconds-between-status-checks=1",
    "--latency-wait=10",
]


class SubmittedWorkflow(Workflow):
    """A tiny study whose jobs go to a cluster by the literal ``snakemake --profile slurm``."""

    def __init__(self, folder, cluster: Cluster):
        super().__init__(folder)
        self.cluster = cluster
        # GPU rules ask for a GPU; without a real one they compute on the CPU.
        self.config["device"] = "auto"
        self.write()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--profile", "slurm", *QUICK, *arguments]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SLURM_CONF": self.cluster.environment()["SLURM_CONF"]}

    def submit(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake and come back at once."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            stdout=(self.folder / "submit.log").open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.fixture(scope="session")
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
    """A fresh tiny study for the cluster."""
    return SubmittedWorkflow(tmp_path, cluster)
