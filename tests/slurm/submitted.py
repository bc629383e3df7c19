"""Tiny studies whose jobs go to a cluster."""

from __future__ import annotations

import sys

from cluster import Cluster
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
