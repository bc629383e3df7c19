"""A study of thousands of subjects: reading its cohorts, checking its files, planning its jobs."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import yaml
from common import ROOT

from normscan.cohorts.checks import check_scan
from normscan.cohorts.load import load_cohort
from normscan.files import save_nifti

PARTS = ["Snakefile", "rules", "workflow_scripts", "protocols", "schemas", "envs", "profiles"]
CONTRASTS = ("T1w", "FLAIR")
SHAPE = (6, 6, 6)


def write_cohort(folder: Path, prefix: str, subjects: int, lesions: bool) -> None:
    """A BIDS folder of tiny scans."""
    random = np.random.default_rng(0)
    for number in range(subjects):
        name = f"sub-{prefix}{number:05d}"
        for contrast in CONTRASTS:
            data = random.random(SHAPE, np.float32)
            save_nifti(folder / name / "anat" / f"{name}_{contrast}.nii.gz", data, np.eye(4))
        if lesions:
            mask = np.zeros(SHAPE, np.uint8)
            mask[2:4, 2:4, 2:4] = 1
            path = f"{name}_space-orig_label-lesion_mask.nii.gz"
            save_nifti(folder / "derivatives/masks" / name / "anat" / path, mask, np.eye(4))


def wide_protocol(approaches: int) -> dict:
    """The comparative study with so many approaches: further models of its families, in turn."""
    content = yaml.safe_load((ROOT / "protocols/comparative_study.yaml").read_text())
    models = list(content["models"].items())
    for number in range(approaches - len(content["approaches"])):
        name, model = models[number % len(models)]
        latent = 64 + number // len(models)
        content["models"][f"{name}_{latent}"] = {**model, "latent": latent}
        content["approaches"][f"{name}_{latent}"] = {
            "model": f"{name}_{latent}",
            "detector": "reconstruction",
        }
    content["approaches"] = dict(list(content["approaches"].items())[:approaches])
    return content


def write_study(folder: Path, arguments: argparse.Namespace) -> dict:
    """The workflow with a configuration for these cohorts."""
    for part in PARTS:
        (folder / part).symlink_to(ROOT / part)
    half = arguments.subjects // 2
    write_cohort(folder / "data/healthy", "h", arguments.subjects - half, lesions=False)
    write_cohort(folder / "data/patients", "p", half, lesions=True)
    (folder / "wide.yaml").write_text(yaml.safe_dump(wide_protocol(arguments.approaches)))
    config = {
        "protocols": ["wide.yaml"],
        "seeds": list(range(arguments.seeds)),
        "shard_size": arguments.shard if arguments.shard == "auto" else int(arguments.shard),
        "cohorts": {
            "healthy": {"role": "healthy", "source": "bids", "path": "data/healthy"},
            "patients": {"role": "patients", "source": "bids", "path": "data/patients"},
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return config


def dry_run(folder: Path) -> tuple[float, float, float, Counter]:
    """Seconds, seconds of the processor (of user code), GB at most, and jobs per rule."""
    before = time.perf_counter()
    with (folder / "plan.txt").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules"],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - before
    text = (folder / "plan.txt").read_text()
    if status:
        raise SystemExit(text[-3000:])
    jobs = Counter({name: int(n) for name, n in re.findall(r"^(\w+)\s+(\d+)$", text, re.M)})
    return seconds, usage.ru_utime, usage.ru_maxrss / 2**20, jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=5000)
    parser.add_argument("--approaches", type=int, default=18, help="of one protocol")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--shard", default="auto", help="subjects per shard")
    parser.add_argument("--json", default="", help="write the figures there, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_study(folder, arguments)
        start = time.perf_counter()
        cohorts = [
            load_cohort(
                name,
                entry,
                folder,
                results=folder,
                needed_contrasts=["FLAIR"],
            )[0]
            for name, entry in config["cohorts"].items()
        ]
        read = time.perf_counter() - start
        start = time.perf_counter()
        problems = 0
        for cohort in cohorts:
            for scan in cohort.scans:
                problems += len(check_scan(scan, ["FLAIR"], cohort.role, {})["problems"])
        checked = time.perf_counter() - start
        seconds, user, memory, jobs = dry_run(folder)
    figures = {
        "subjects": arguments.subjects,
        "approaches": arguments.approaches,
        "reading the cohorts, s": round(read, 2),
        "opening every file, s": round(checked, 2),
        "problems": problems,
        "dry run, s": round(seconds, 1),
        "dry run, s of user code": round(user, 1),
        "dry run, GB": round(memory, 2),
        "jobs": dict(jobs),
    }
    print(json.dumps(figures, indent=1))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
