"""What Snakemake 9.27 does anew for every job though it is the same for a rule, done once.

A plan of 22,000 jobs took twice as much of the processor. What is planned is the same; a test
compares both.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

# Objects made before Python looks for circles among them: a plan makes millions and drops few, and
# usual limits look through all of them again and again.
SELDOM = (100_000, 50, 100)


def plan_faster() -> None:
    """All of it, as far as the Snakemake that runs has these parts; it is only slower without."""
    # They import each other, so Snakemake has to have done it.
    from snakemake import common, dag, rules
    from snakemake.jobs import Job
    from snakemake.scheduling.job_scheduler import JobScheduler

    look_for_garbage_seldom()
    known = "get_function_params"
    remember_signatures(*[module for module in (common, rules) if hasattr(module, known)])
    names = ("ScriptProcessor", "NotebookProcessor")
    look_once_at_scripts(*[getattr(dag, name) for name in names if hasattr(dag, name)])
    if hasattr(rules, "_NOT_CACHED"):
        name_environments_by_rule(Job, rules._NOT_CACHED)
    pass_by_jobs_that_are_not_shown(JobScheduler, shows_jobs)


def look_for_garbage_seldom() -> None:
    """Let Python look for garbage in circles less often; a fifth of the time goes there else."""
    gc.set_threshold(*SELDOM)


def remember_signatures(*modules: Any) -> None:
    """Let modules look only once at what a function takes; jobs call the same few hundred.

    Parameters
    ----------
    modules : those that have ``get_function_params``, of ``snakemake.common``.
    """
    if not modules:
        return
    original = modules[0].get_function_params
    known = lru_cache(maxsize=10_000)(original)

    def get_function_params(func: Callable) -> Any:
        try:
            return known(func)
        except TypeError:  # what cannot be hashed
            return original(func)

    for module in modules:
        module.get_function_params = get_function_params


def look_once_at_scripts(*processors: Any) -> None:
    """Let processors of a DAG make sure of a rule's script once, not for every job.

    Parameters
    ----------
    processors : ``snakemake.dag.ScriptProcessor`` and what derives from it.
    """
    for processor in processors:
        processor.process_job = _once_per_rule(processor.process_job)


def _once_per_rule(original: Callable) -> Callable:
    def process_job(self, job) -> None:
        script = str(getattr(job.rule, self.script_type, None) or "")
        seen = self.__dict__.setdefault("_seen_rules", set())
        if job.rule.name not in seen or "{" in script:
            original(self, job)
            seen.add(job.rule.name)

    return process_job


def name_environments_by_rule(job_class: Any, not_known: Any) -> None:
    """Let jobs take the environment of their rule once it is known, without their parameters.

    Looking at it worked out all parameters of every job, which a plan mostly has no use for.

    Parameters
    ----------
    job_class : ``snakemake.jobs.Job``.
    not_known : what stands in a rule whose environment depends on the job or was not asked for.
    """
    original = job_class.conda_env_spec.fget

    def conda_env_spec(self):
        known = getattr(self.rule, "_expanded_conda_env", not_known)
        return original(self) if known is not_known else known

    job_class.conda_env_spec = property(conda_env_spec)


def pass_by_jobs_that_are_not_shown(scheduler_class: Any, is_shown: Callable[[Any], bool]) -> None:
    """Let a dry run that shows no job end with its tables, without going through all jobs.

    Parameters
    ----------
    scheduler_class : ``snakemake.scheduling.job_scheduler.JobScheduler``.
    is_shown : whether a workflow shows its jobs.
    """
    original = scheduler_class.schedule

    def schedule(self) -> bool:
        if self.workflow.dryrun and not is_shown(self.workflow):
            return True
        return original(self)

    scheduler_class.schedule = schedule


def shows_jobs(workflow: Any) -> bool:
    """Whether each job is shown: not with ``--quiet rules`` (or ``all``)."""
    quiet: Iterable[Any] = workflow.output_settings.quiet or ()
    return not {"RULES", "ALL"} & {one.name for one in quiet}
