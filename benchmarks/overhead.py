"""What a job costs before it works: starting Python, importing, and Snakemake itself."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, options, table

SCRIPTS = ROOT / "workflow_scripts"
SNAKEFILE = """
rule all:
    input: expand("{n}.txt", n=range(%d))
rule one:
    output: "{n}.txt"
    script: "one.py"
"""


def seconds(command: list[str], cwd: Path, repeats: int) -> float:
    """Median wall time of a command."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, cwd=cwd, check=True, capture_output=True)
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def imports_of(script: Path) -> str:
    """The import statements at the top of a script."""
    tree = ast.parse(script.read_text())
    found = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(ast.unparse(node) for node in found)


def snakemake_seconds(jobs: int) -> float:
    """Wall time of a workflow of trivial jobs, one after the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Snakefile").write_text(SNAKEFILE % jobs)
        (folder / "one.py").write_text("open(snakemake.output[0], 'w').close()\n")
        return seconds([sys.executable, "-m", "snakemake", "--cores", "1"], folder, 1)


def main() -> None:
    arguments = options(__doc__, jobs=10)
    bare = seconds([sys.executable, "-c", ""], SCRIPTS, arguments.repeats)
    rows = [{"what": "Python", "s": bare}]
    users = [
        path for path in sorted(SCRIPTS.glob("*.py")) if "run(snakemake, main)" in path.read_text()
    ]
    for script in users:
        command = [sys.executable, "-c", imports_of(script)]
        rows.append({"what": script.name, "s": seconds(command, SCRIPTS, arguments.repeats)})
    many, one = snakemake_seconds(arguments.jobs), snakemake_seconds(1)
    rows.append({"what": "Snakemake, start", "s": one - (many - one) / (arguments.jobs - 1)})
    rows.append({"what": "Snakemake, a script job", "s": (many - one) / (arguments.jobs - 1)})
    table("start-up of a job, before its own work", rows)


if __name__ == "__main__":
    main()
