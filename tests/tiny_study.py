"""A tiny study in a folder of its own, and real Snakemake runs of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import warm_snakemake
from normscan.cohorts.simulation.simulate import simulate_scan

REPOSITORY = Path(__file__).resolve().parents[1]
PARTS = ["Snakefile", "rules", "workflow_scripts", "protocols", "schemas", "envs", "profiles"]

# Brains only, coarse grids, two epochs: a whole run takes about a minute on two cores.
SIMULATION = {"head": False, "spacing": 4.0, "oblique": False}
CONFIG: dict[str, Any] = {
    "title": "tiny",
    "results": "results",
    "protocols": ["tiny"],
    "seeds": [0],
    "threads": 1,
    "device": "cpu",
    "shard_size": 2,
    "volumes": {"detections": "native", "maps": "native"},
    "split": {"seed": 0, "healthy_validation": 1, "patients_validation": 1},
    "cohorts": {
        "healthy": {
            "role": "healthy",
            "source": "simulated",
            "skull_stripped": True,
            "simulation": {"subjects": 3, "seed": 1, "lesion": "none", **SIMULATION},
        },
        "ms": {
            "role": "patients",
            "source": "bids",
            "path": "data/ms",
            "skull_stripped": True,
            "prior": "hyperintense",
        },
        "new": {
            "role": "unlabelled",
            "source": "simulated",
            "skull_stripped": True,
            "prior": "hyperintense",
            "simulation": {"subjects": 1, "seed": 3, "lesion": "stroke", **SIMULATION},
        },
    },
}
PROTOCOL: dict[str, Any] = {
    "description": "tiny",
    "contrasts": ["FLAIR"],
    "preprocessing": [
        {"register": {"atlas": "robex", "transform": "rigid", "spacing": 6.0}},
        {"strip_skull": {"method": "given"}},
        {"denoise": {}},
        {"normalise": {}},
    ],
    "slices": {"size": 16},
    "models": {
        "ae": {"family": "ae", "max_epochs": 2, "batch_size": 16, "latent": 8},
        "vae": {"family": "vae", "max_epochs": 2, "batch_size": 16, "latent": 8},
    },
    "approaches": {
        "intensity": {"detector": "intensity"},
        "ae": {"model": "ae", "detector": "reconstruction"},
        "vae": {"model": "vae", "detector": "restoration", "steps": 2},
    },
    "postprocessing": {"erosion": 0, "median": 3, "minimum_voxels": 2},
}


@cache
def patient(subject: str) -> tempfile.TemporaryDirectory:
    """A BIDS folder of one simulated patient, made once and to be copied."""
    folder = tempfile.TemporaryDirectory(prefix="normscan-patient-")
    simulate_scan(Path(folder.name), subject, cohort="ms", lesion="tumour", **SIMULATION)
    return folder


class Workflow:
    """A copy of the workflow in a folder of its own, with its configuration."""

    def __init__(self, folder: Path):
        self.folder = folder
        for part in PARTS:
            source, target = REPOSITORY / part, folder / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        (folder / "slurm").symlink_to("profiles/slurm")
        self.config = yaml.safe_load(yaml.safe_dump(CONFIG))
        self.protocol = yaml.safe_load(yaml.safe_dump(PROTOCOL))
        self.write()
        for subject in ("01", "02", "03"):
            self.add_patient(subject)

    def shrink(self) -> None:
        """One model, one cohort of patients and one shard each: fewer jobs."""
        self.protocol["approaches"] = {"ae": {"model": "ae", "detector": "reconstruction"}}
        self.protocol["models"].pop("vae", None)
        self.protocol["threshold_rules"] = [{"healthy_fpr": {"rate": 0.05}}]
        self.config["cohorts"].pop("new", None)
        self.config["shard_size"] = 4
        self.write()

    def train_long(self) -> None:
        """One model, a VAE (its codes are drawn at random), trained long enough to be killed."""
        self.shrink()
        vae = {**self.protocol["models"]["ae"], "family": "vae"}
        self.protocol["models"] = {"vae": {**vae, "max_epochs": 200, "patience": 200}}
        self.protocol["approaches"] = {"vae": {"model": "vae", "detector": "reconstruction"}}
        self.write()

    def without_models(self) -> None:
        """Only patients, and the approach that needs no model: fewer jobs still."""
        self.shrink()
        self.protocol["approaches"] = {"intensity": {"detector": "intensity"}}
        self.protocol["models"] = {}
        self.protocol["threshold_rules"] = [{"best_dice": {}}]
        self.config["cohorts"] = {"ms": self.config["cohorts"]["ms"]}
        self.write()

    def add_patient(self, subject: str) -> None:
        """Put a patient into the BIDS folder of the cohort ``ms``."""
        target = self.folder / "data" / "ms"
        # Not with the times of the copied files: they are new here.
        shutil.copytree(
            patient(subject).name, target, copy_function=shutil.copy, dirs_exist_ok=True
        )

    @property
    def results(self) -> Path:
        return self.folder / self.config["results"]

    def pages(self) -> dict[str, bytes]:
        """The report and the pages of patients, by name."""
        found = [self.results / "report.html", *(self.results / "patients").rglob("*.html")]
        return {
            path.relative_to(self.results).as_posix(): path.read_bytes() for path in sorted(found)
        }

    def write(self) -> None:
        """Write the configuration and the protocol as they stand."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))
        text = yaml.safe_dump(self.protocol, sort_keys=False)
        (self.folder / "protocols" / "tiny.yaml").write_text(text)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]

    def environment(self) -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE")}

    def call(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run Snakemake; both streams come back as one text."""
        command = self.command(*arguments)
        if "--dry-run" in arguments:
            # Without the interpreter and its ``-m snakemake``.
            status, output = warm_snakemake.run(command[3:], self.folder, self.environment())
            return subprocess.CompletedProcess(command, status, output)
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1000,
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake and come back at once; what it prints goes to ``started.log``."""
        with (self.folder / "started.log").open("w") as log:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments: str) -> str:
        """Run Snakemake and insist on success."""
        done = self.call(*arguments)
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def fails(self, *arguments: str) -> str:
        """Run Snakemake and insist on failure."""
        done = self.call(*arguments)
        assert done.returncode != 0, done.stdout[-3000:]
        return done.stdout

    def planned(self, *arguments: str) -> list[tuple[str, dict[str, str]]]:
        """Jobs of a dry run: (rule, wildcards), without the target rules."""
        # The profiles are quiet about jobs.
        jobs = read_jobs(self.run("--dry-run", "--quiet=host", *arguments))
        return [job for job in jobs if job[0] not in ("all", "prepare", "screen")]

    def counts(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry run names."""
        return dict(Counter(rule for rule, _ in self.planned(*arguments)))


def read_jobs(output: str) -> list[tuple[str, dict[str, str]]]:
    """Jobs in Snakemake's output."""
    jobs: list[tuple[str, dict[str, str]]] = []
    for line in output.splitlines():
        start = re.match(r"(?:local)?rule (\w+):$", line)
        if start:
            jobs.append((start[1], {}))
        found = re.match(r"\s+wildcards: (.*)$", line)
        if found and jobs:
            pairs = (pair.split("=", 1) for pair in found[1].split(", "))
            jobs[-1][1].update({name: value for name, value in pairs})
    return jobs
