"""Faults of Snakemake that are mended here; a later version may need no mending."""

import os
import re
from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobRateLimiter, JobScheduler
from snakemake.settings.types import MaxJobsPerTimespan
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

import mended_snakemake
import warm_snakemake
from mended_snakemake import look_as_often_as_told, wait_once

MEND = f"""
import sys
sys.path.insert(0, {os.path.dirname(mended_snakemake.__file__)!r})
from snakemake.dag import DAG
from snakemake.scheduling.job_scheduler import JobScheduler
from mended_snakemake import respect_ancient, wait_once
respect_ancient(DAG)
wait_once(JobScheduler)
"""
# `gate` has to run again because its parameter changes; `train` waits for it and has its own.
GATED = """
rule all:
    input: "trained"
rule gate:
    output: "gate"
    params: config["gate"]
    shell: "sleep 0.01; touch {output}"
rule train:
    input: ancient("gate")
    output: "trained"
    params: config["train"]
    shell: "touch {output}"
"""
MANY = """
rule all:
    input: expand("{n}.txt", n=range(30))
rule one:
    output: "{n}.txt"
    shell: "touch {output}"
onsuccess:
    import threading
    print("timers:", sum(isinstance(one, threading.Timer) for one in threading.enumerate()))
"""


def snakemake(folder, text, *arguments):
    (folder / "Snakefile").write_text(MEND + text)
    status, output = warm_snakemake.run(["--cores", "2", *arguments], folder, dict(os.environ))
    assert status == 0, output[-3000:]
    return output


def test_jobs_behind_an_ancient_input_are_stale_for_their_own_reasons(tmp_path):
    snakemake(tmp_path, GATED, "--config", "gate=1", "train=1")
    for gate, train, expected in ((2, 1, {"gate"}), (1, 2, {"train"}), (2, 2, {"gate", "train"})):
        plan = snakemake(tmp_path, GATED, "-n", "--config", f"gate={gate}", f"train={train}")
        assert set(re.findall(r"^rule (\w+):", plan, re.M)) - {"all"} == expected


def test_jobs_that_end_leave_no_timers_behind(tmp_path):
    shown = snakemake(tmp_path, MANY)
    assert int(re.search(r"timers: (\d+)", shown)[1]) == 0


@pytest.mark.parametrize("limit, timers", [(10, 0), (1, 1)])
def test_the_scheduler_looks_again_once_when_its_rate_limit_kept_jobs_back(
    monkeypatch, limit, timers
):
    class Scheduler:
        _schedule_reevalutation = JobScheduler._schedule_reevalutation
        job_rate_limiter = JobRateLimiter(MaxJobsPerTimespan(limit, "1s"))

    class Lock:
        released = 0

        def release(self):
            Lock.released += 1

    started = []

    class Timer:
        def __init__(self, delay, call):
            self.call = call

        def start(self):
            started.append(self)

    monkeypatch.setattr("mended_snakemake.threading.Timer", Timer)
    wait_once(Scheduler)
    scheduler = Scheduler()
    scheduler._open_jobs = Lock()
    scheduler.job_rate_limiter.register_jobs(1)
    for _ in range(3):
        scheduler._schedule_reevalutation(1)
    assert len(started) == timers
    for timer in started:
        timer.call()
    assert Lock.released == timers


def test_looks_at_submitted_jobs_are_never_further_apart_than_told():
    class Executor:
        next_seconds_between_status_checks = RemoteExecutor.next_seconds_between_status_checks
        _next_seconds_between_status_checks = None
        workflow = SimpleNamespace(
            remote_execution_settings=SimpleNamespace(seconds_between_status_checks=3)
        )

    look_as_often_as_told(Executor)
    executor = Executor()
    assert executor.next_seconds_between_status_checks == 3
    for seconds, expected in ((1, 1), (11, 3), (180, 3), (None, 3), (2, 2)):
        executor.next_seconds_between_status_checks = seconds
        assert executor.next_seconds_between_status_checks == expected
