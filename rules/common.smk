"""The checked configuration, the plan of paths, and small helpers that rules share."""

from snakemake.dag import DAG
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

import faster_snakemake
from mended_snakemake import look_as_often_as_told, respect_ancient, wait_once
from normscan import layout
from normscan.errors import NormscanError
from normscan.housekeeping import remove_intermediates
from normscan.running import refuse_second_run
from normscan.workflow.configuration import load_study
from normscan.workflow.fingerprint import Code
from normscan.workflow.plan import Plan
from normscan.workflow.sizes import Sizes
from normscan.workflow.terminal import Stages, result_lines, show_stages

respect_ancient(DAG)
wait_once(JobScheduler)
look_as_often_as_told(RemoteExecutor)
faster_snakemake.plan_faster()

try:
    written = {key: value for one in files if one for key, value in one.items()}
    STUDY = load_study(config, Path.cwd(), Path(workflow.basedir) / "protocols", written)
    PLAN = Plan(STUDY)
    SIZES = Sizes(PLAN)
except NormscanError as error:
    raise WorkflowError(str(error)) from None

# Thousands of jobs share a few fingerprints.
fingerprint = Code().fingerprint


def results(log=()):
    """Lines that name the log and what a person looks at, of what this run's targets hold.

    Screening rests on a study that ran before: its report is named as well.
    """
    asked = set()
    if not workflow.dag_settings.until:
        asked = {str(path) for job in workflow.dag.jobs for path in job.output}
    pages = [page for page in PLAN.screening.pages() if page in asked]
    metrics, report = PLAN.path(layout.METRICS), PLAN.path(layout.REPORT)
    found = [("Log", path) for path in log]
    found += [("Metrics", metrics)] if pages or metrics in asked else []
    found += [("Screening", page) for page in pages]
    found += [("Report", report)] if pages or report in asked else []
    return result_lines(found)


# What the profiles' `quiet: rules` stands for. Jobs that run elsewhere have a Snakemake of their own,
# whose words are for SLURM's log.
SAID = workflow.output_settings
if workflow.exec_mode.name == "DEFAULT" and "RULES" in {one.name for one in SAID.quiet or ()}:
    stages = Stages(
        STUDY.title, PLAN.path(layout.LOGS), SAID.dryrun, results, bar=sys.stderr.isatty()
    )
    show_stages(logger.handlers, stages)


wildcard_constraints:
    chain=r"raw(\+[^/+]+)*",
    parent=r"raw(\+[^/+]+)*",
    step=r"[^/+]+",
    cohort=r"[^/]+",
    shard=r"\d+",
    pack=r"[^/]+",
    training=r"[^/]+",
    model=r"[^/]+",
    approach=r"[^/]+",
    protocol=r"[^/]+",
    variant=r"[^/]+",
    prior=r"none|hyperintense|hypointense",
    seed=r"\d+",
    threshold_rule=r"[^/]+",


def log_file(rule, *parts):
    """Log of a job, named after its rule and wildcards."""
    return PLAN.path(layout.LOG.format(rule=rule, job="/".join(parts)))


def benchmark_file(rule, *parts):
    """Benchmark (time, memory) of a job, named after its rule and wildcards."""
    return PLAN.path(layout.BENCHMARK.format(rule=rule, job="/".join(parts)))


# Most clusters have a day for one job. What takes longer goes on at its checkpoint when retried.
LONGEST = 24 * 60


def memory(base_mb, per_file_mb=0, packs=False):
    """Memory of a job in MB, half as much again with every retry.

    ``per_file_mb`` more for every MB of its largest scan file; with ``packs`` as much as its slice
    packs have, which count as its own once they are mapped and read.
    """

    def of(wildcards, attempt):
        size = base_mb + (SIZES.pack_mb(wildcards) if packs else 0)
        if per_file_mb:
            size += per_file_mb * SIZES.largest_file_mb(wildcards.cohort, wildcards.shard)
        return int(size * (1 + 0.5 * (attempt - 1)))

    return of


def detection_memory(packs=False):
    """Memory of a job that detects: on a CPU every thread has a batch of its own.

    Sixteen slices of 256x256 in a restoration are 450 MB.
    """
    return memory(4000 + 500 * (STUDY.threads - 1), packs=packs)


def minutes(base, per_scan=0.0, cost=lambda wildcards: 1.0):
    """Run time of a job in minutes, ``per_scan`` more for every scan, doubled with every retry.

    All of it times ``cost``, what plug-ins say of theirs.
    """

    def of(wildcards, attempt):
        time = (base + per_scan * SIZES.scans(wildcards)) * cost(wildcards)
        return min(int(time * 2 ** (attempt - 1)), LONGEST)

    return of


# A GPU is asked for unless the configuration says that there is none to use.
GPU = 0 if STUDY.device == "cpu" else 1


# What rules take, where a lambda would be too long.


def code(script):
    """Fingerprint of a rule's code, found once a job asks: a cluster job needs one of them all."""
    return lambda wildcards: fingerprint(script)


def gate(wildcards):
    """The check of all problems that anything long waits for, but does not run again after."""
    return ancient(PLAN.cohorts.gate(wildcards.cohort))


def passed_flags(wildcards):
    """What packing takes of quality control; nothing unless flagged scans are not to pass.

    Flags to leave scans out by, or the check that there are none, which makes no pack stale.
    """
    if STUDY.on_flagged == "exclude":
        return {"quality": PLAN.quality.of_pack(wildcards)}
    if STUDY.on_flagged == "stop":
        return {"unflagged": ancient(PLAN.quality.gate(wildcards.cohort))}
    return {}


def detector_code(script):
    """Fingerprint of a detection script with the detector's and all models' own modules."""
    return lambda wildcards: fingerprint(script, *PLAN.detection.modules(wildcards.approach))
