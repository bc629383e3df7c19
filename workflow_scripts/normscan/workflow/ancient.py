"""Make Snakemake's planning respect ``ancient`` inputs where it forgets them.

All long jobs wait for the check of all cohorts through an ``ancient`` input: it comes first, but a
new cohort does not make the others stale. Snakemake 9.27, however, looks at no parameter and at no
time of jobs behind a job that has to run, since "they will be determined as needrun because they
depend on it" (``DAG.update_needrun``); behind an ``ancient`` input they are not. With a patient
added and a learning rate changed at once, the training would be left out, and found stale a run
later.
"""

from __future__ import annotations

from collections import deque
from os.path import exists


def respect_ancient(dag_class: type) -> None:
    """Let the downstream traversal of a DAG class pass by inputs that trigger nothing.

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
