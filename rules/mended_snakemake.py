"""Three faults of Snakemake 9.27 that matter here, mended when the workflow is read.

Tests of what they spoil (two changes at once; a scheduler that idles while jobs run; short jobs on
a cluster) tell when a later version needs no mending.
"""

from __future__ import annotations

import threading
from collections import deque
from os.path import exists
from typing import Any


def respect_ancient(dag_class: Any) -> None:
    """Let the downstream traversal of a DAG class pass by inputs that trigger nothing.

    All long jobs wait for the check of all cohorts through an ``ancient`` input: it comes first,
    but a new cohort does not make the others stale. Snakemake looks at no parameter and at no time
    of jobs behind a job that has to run, since "they will be determined as needrun because they
    depend on it" (``DAG.update_needrun``); behind an ``ancient`` input they are not. With a patient
    added and a learning rate changed at once, the training would be left out, and found stale a run
    later.

    Parameters
    ----------
    dag_class : ``snakemake.dag.DAG``.
    """
    original = dag_class.bfs

    def bfs(self, direction, *jobs, stop=lambda job: False):
        if direction is not self.depending:
            yield from original(self, direction, *jobs, stop=stop)
            return
        queue, visited = deque(jobs), set(jobs)
        while queue:
            job = queue.popleft()
            if stop(job):
                continue
            yield job
            for follower, files in direction[job].items():
                waits_only = all(one.is_ancient and exists(one) for one in files)
                if follower not in visited and not waits_only:
                    queue.append(follower)
                    visited.add(follower)

    dag_class.bfs = bfs


def wait_once(scheduler_class: Any) -> None:
    """Let a scheduler class look again later only when its rate limit kept jobs back, and once.

    Every round of ``JobScheduler.schedule`` arranges another one a second later. Every job that
    ends starts such a chain of rounds, and none ever ends: after 200 jobs there are 200 rounds a
    second, each of which looks at all inputs of all ready jobs, and half a core is gone.

    Parameters
    ----------
    scheduler_class : ``snakemake.scheduling.job_scheduler.JobScheduler``.
    """

    def look_again(self, delay: float) -> None:
        if self.job_rate_limiter.get_free_jobs() or getattr(self, "_looks_again", False):
            return

        def open_jobs() -> None:
            self._looks_again = False
            self._open_jobs.release()

        self._looks_again = True
        threading.Timer(delay, open_jobs).start()

    scheduler_class._schedule_reevalutation = look_again


def look_as_often_as_told(executor_class: Any) -> None:
    """Let ``--seconds-between-status-checks`` bound the time between looks at submitted jobs.

    The SLURM plugin starts with its own setting, adds 10 s whenever no job has ended since the last
    look, three minutes at most, and heeds the option never. A chain of jobs of five seconds each
    waits eleven for every one of them.

    Parameters
    ----------
    executor_class : ``snakemake_interface_executor_plugins.executors.remote.RemoteExecutor``.
    """
    interval = executor_class.next_seconds_between_status_checks

    def bounded(self, seconds) -> None:
        limit = self.workflow.remote_execution_settings.seconds_between_status_checks
        interval.fset(self, seconds if seconds is None else min(seconds, limit))

    executor_class.next_seconds_between_status_checks = interval.setter(bounded)
