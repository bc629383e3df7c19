"""Several GPUs of one machine are shared out: one job each, none twice."""

import subprocess
import sys
import time
from pathlib import Path

import normscan
from normscan.compute import gpus

LIBRARY = Path(normscan.__file__).parents[1]
JOB = """
import sys
from normscan.compute.gpus import claim_gpu
index = claim_gpu(["GPU-one", "GPU-two"], sys.argv[1])
print(index, flush=True)
sys.stdin.read()
"""


def job(folder) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(folder)],
        cwd=LIBRARY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_jobs_get_different_gpus_and_the_next_waits_for_one_to_end(tmp_path):
    first, second = job(tmp_path), job(tmp_path)
    claimed = {first.stdout.readline().strip(), second.stdout.readline().strip()}
    assert claimed == {"0", "1"}
    third = job(tmp_path)
    time.sleep(1)
    assert third.poll() is None
    # However a job ends, its GPU is free again.
    first.kill()
    first.wait()
    index = third.stdout.readline().strip()
    second.communicate()
    third.communicate()
    assert index in claimed and third.returncode == 0


def test_a_job_that_asks_again_keeps_its_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(gpus, "_CLAIMS", {})
    assert gpus.claim_gpu(["GPU-one", "GPU-two"], tmp_path) == 0
    assert gpus.claim_gpu(["GPU-one", "GPU-two"], tmp_path) == 0
