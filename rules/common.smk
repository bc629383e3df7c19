"""The checked configuration, the plan of paths, and small helpers that rules share."""

from normscan.errors import NormscanError
from normscan.workflow.configuration import load_study
from normscan.workflow.fingerprint import code_fingerprint as code
from normscan.workflow.inputs import Inputs

try:
    STUDY = load_study(config, Path.cwd(), Path(workflow.basedir) / "protocols")
    PLAN = Inputs(STUDY)
except NormscanError as error:
    raise WorkflowError(str(error)) from None

RESULTS = str(STUDY.results)


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


def log_file(rule, *parts):
    """Log of a job, named after its rule and wildcards."""
    return PLAN.path("logs", rule, *parts) + ".log"


def benchmark_file(rule, *parts):
    """Benchmark (time, memory) of a job, named after its rule and wildcards."""
    return PLAN.path("benchmarks", rule, *parts) + ".tsv"


def memory(base_mb):
    """Memory of a job in MB, half as much again with every retry."""
    return lambda wildcards, attempt: int(base_mb * (1 + 0.5 * (attempt - 1)))


def minutes(base):
    """Run time of a job in minutes, doubled with every retry."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)


# A GPU is asked for unless the configuration says that there is none to use.
GPU = 0 if STUDY.device == "cpu" else 1
