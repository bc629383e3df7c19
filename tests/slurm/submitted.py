"""Tiny studies whose jobs go to a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from cluster import Cluster
from tiny_study import Workflow

LONG = 900
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
        self.process: subprocess.Popen | None = None
        # GPU rules ask for a GPU; without a real one they compute on the CPU.
        self.config["device"] = "auto"
        self.write()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--profile", "slurm", *QUICK, *arguments]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SLURM_CONF": self.cluster.environment()["SLURM_CONF"]}

    def start(self, *arguments: str) -> subprocess.Popen:
        self.process = super().start(*arguments)
        return self.process

    def finish(self) -> None:
        """Wait for what was started and insist on success."""
        self.process.wait(LONG)
        output = (self.folder / "started.log").read_text()
        assert self.process.returncode == 0, output[-6000:]

    def stop(self) -> None:
        """Kill what was started and its children, if it still runs."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """Jobs of this study that SLURM knows, of one rule or of all, in their order."""
        mine = [job for job in self.cluster.jobs() if job["folder"] == str(self.folder)]
        for job in mine:
            # The comment that the executor gives a job.
            job["rule"] = job["comment"].removeprefix("rule_").split("_wildcards_")[0]
        chosen = [job for job in mine if rule in ("", job["rule"])]
        return sorted(chosen, key=lambda job: int(job["id"].partition("_")[0]))

    def running(self, rule: str, *others: str) -> list[str]:
        """Running jobs of a rule but for some others."""
        return [
            job["id"]
            for job in self.jobs(rule)
            if job["state"] == "RUNNING" and job["id"] not in others
        ]

    def attempts(self, rule: str) -> list[str]:
        """States of the jobs of a rule."""
        return [job["state"] for job in self.jobs(rule)]

    def scripts(self) -> list[int]:
        """Processes that run a script of this study's jobs."""
        pattern = f"{self.folder}.*snakemake/scripts"
        found = subprocess.run(["pgrep", "-f", pattern], capture_output=True)
        return [int(pid) for pid in found.stdout.split()]

    def products(self, *patterns: str) -> dict[str, bytes]:
        """What two equal runs have in common, byte by byte."""
        found = [path for pattern in patterns for path in self.results.glob(pattern)]
        assert found, f"no {patterns} in {self.results}"
        return {str(path.relative_to(self.results)): path.read_bytes() for path in found}

    def stripped(self) -> dict[str, bytes]:
        """Volumes of the patients after skull stripping."""
        return self.products("preprocessed/*strip_skull-given/ms/**/*.nii.gz")

    def trained(self, model: str = "ae") -> dict[str, bytes]:
        """Weights and training curve of a model."""
        folder = f"models/**/{model}"
        return self.products(f"{folder}/**/*.safetensors", f"{folder}/**/curve.tsv")

    def no_remains(self) -> bool:
        """No half-written file or folder stands where results are."""
        # Temporary names start with a dot; so do these.
        kept = {".simulated.json", ".bidsignore"}
        return all(path.name in kept for path in self.results.rglob(".*"))
