"""Copies of the repository, with what its pages tell a newcomer to put there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from normscan.workflow.recipes import FOLDER

ROOT = FOLDER.parent
PARTS = [
    "benchmarks", "configs", "docs", "envs", "profiles", "protocols", "rules", "schemas", "tests",
    "workflow_scripts", "config.yaml", "pyproject.toml", "README.md", "Snakefile",
]  # fmt: skip


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language on a page, without the indentation of a list."""
    text = (ROOT / page).read_text()
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [dedent(block) for _, block in found]


def copied(folder: Path) -> Path:
    """A copy of the repository."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        else:
            shutil.copy2(ROOT / part, folder / part)
    return folder


def run(folder: Path, *arguments: str) -> str:
    """Python in a copy; what it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    environment["PYTHONPATH"] = os.pathsep.join(
        str(folder / one) for one in ("workflow_scripts", "tests")
    )
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout
