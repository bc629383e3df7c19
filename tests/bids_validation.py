"""What the validator of BIDS says of a folder; it needs no internet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = shutil.which(
    "bids-validator-deno",
    path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
)
needs_validator = pytest.mark.skipif(not PROGRAM, reason="bids-validator-deno is not installed")


def bids_errors(folder: Path) -> list[str]:
    """Code and place of every error; warnings (what BIDS only recommends) are left out."""
    assert PROGRAM
    done = subprocess.run(
        [PROGRAM, "--format", "json", "--ignoreWarnings", "--recursive", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout, done.stderr[-3000:]
    found = json.loads(done.stdout)
    reports = [found, *found.get("derivativesSummary", {}).values()]
    assert found["summary"]["totalFiles"] > 1
    return [
        f"{one['code']} {one.get('subCode', '')}: {one.get('location', '')}"
        for report in reports
        for one in report["issues"]["issues"]
        if one.get("severity", "error") == "error"
    ]
