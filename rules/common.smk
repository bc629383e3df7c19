"""The checked configuration, the plan of paths, and small helpers that rules share."""

from snakemake.dag import DAG
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from normscan.errors import NormscanError
from normscan.housekeeping import remove_intermediates
from normscan.workflow.configuration import load_study
from normscan.workflow.fingerprint import Code
from normscan.workflow.mended_snakemake import look_as_often_as_told, respect_ancient, wait_once
from normscan.workflow.report_inputs import ReportInputs
from normscan.workflow.sizes import Sizes
from normscan.workflow.terminal import Stages, result_lines, show_stages

respect_ancient(DAG)
wait_once(JobScheduler)
look_as_often_as_told(RemoteExecutor)

try:
    STUDY = load_study(config, Path.cwd(), Path(workflow.basedir) / "protocols")
    PLAN = ReportInputs(STUDY)
    SIZES = Sizes(PLAN)
except NormscanError as error:
    raise WorkflowError(str(error)) from None

# Thousands of jobs share a few fingerprints.
fingerprint = Code().fingerprint

# Folders by what determines their content.
MODEL = "models/{chain}/{pack}/{training}/{model}/seed-{seed}"
MAPS = "maps/{chain}/{pack}/{training}/{approach}/seed-{seed}"
DETECTIONS = "detections/{protocol}/{variant}/seed-{seed}"
BUNDLE = "bundles/{protocol}/{variant}/seed-{seed}"
SCREENING = "screening/{cohort}/{protocol}/{variant}/seed-{seed}"


def results(log=()):
    """Lines that name the log and what a person looks at, of what this run's targets hold.

    Screening rests on a study that ran before: its report is named as well.
    """
    asked = set()
    if not workflow.dag_settings.until:
        asked = {str(path) for job in workflow.dag.jobs for path in job.output}
    pages = [page for page in screening_pages() if page in asked]
    metrics, report = PLAN.path("metrics.tsv"), PLAN.path("report.html")
    found = [("Log", path) for path in log]
    found += [("Metrics", metrics)] if pages or metrics in asked else []
    found += [("Screening", page) for page in pages]
    found += [("Report", report)] if pages or report in asked else []
    return result_lines(found)


# What the profiles' `quiet: rules` stands for. Jobs that run elsewhere have a Snakemake of their own,
# whose words are for SLURM's log.
SAID = workflow.output_settings
if workflow.exec_mode.name == "DEFAULT" and "RULES" in {one.name for one in SAID.quiet or ()}:
    stages = Stages(STUDY.title, PLAN.path("logs"), SAID.dryrun, results, bar=sys.stderr.isatty())
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


def log_file(rule, *parts):
    """Log of a job, named after its rule and wildcards."""
    return PLAN.path("logs", rule, *parts) + ".log"


def benchmark_file(rule, *parts):
    """Benchmark (time, memory) of a job, named after its rule and wildcards."""
    return PLAN.path("benchmarks", rule, *parts) + ".tsv"


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


def minutes(base, per_scan=0.0):
    """Run time of a job in minutes, ``per_scan`` more for every scan, doubled with every retry."""

    def of(wildcards, attempt):
        time = base + per_scan * SIZES.scans(wildcards)
        return min(int(time * 2 ** (attempt - 1)), LONGEST)

    return of


# A GPU is asked for unless the configuration says that there is none to use.
GPU = 0 if STUDY.device == "cpu" else 1


# What rules take, where a lambda would be too long.


def code(script):
    """Fingerprint of a rule's code, found once a job asks: a cluster job needs one of them all."""
    return lambda wildcards: fingerprint(script)


def scan_files(wildcards):
    """The files of a shard's scans; a simulated cohort's come from its own rule."""
    if wildcards.cohort in STUDY.simulation:
        return PLAN.path("simulated", wildcards.cohort, f"{wildcards.shard}.json")
    return PLAN.scan_files(wildcards.cohort, wildcards.shard)


def check_reports(cohorts):
    """What was found in the scans of cohorts."""
    return [
        PLAN.path("checks", cohort, f"{shard}.json")
        for cohort in cohorts
        for shard in PLAN.shards[cohort]
    ]


def checked(wildcards):
    """The gate before anything long: all problems of all cohorts are known and accepted."""
    if STUDY.cohorts[wildcards.cohort].role == "unlabelled":
        return ancient(PLAN.path("cohorts", wildcards.cohort, "checked.json"))
    return ancient(PLAN.path("cohorts/checked.json"))


def step_settings(wildcards):
    """The settings of the step that a label stands for."""
    return PLAN.steps[wildcards.step].settings


def step_contrasts(wildcards):
    """Contrasts that any protocol needs after this chain."""
    return PLAN.chain_contrasts(f"{wildcards.parent}+{wildcards.step}", wildcards.cohort)


def histogram_reference(wildcards):
    """Manifest of the shard that holds the scan to whose histogram others are matched."""
    return PLAN.reference_manifest(wildcards.parent, step_settings(wildcards)["reference"])


def training_packs(wildcards):
    """Slice packs of the healthy cohorts in a training set."""
    cohorts, _ = PLAN.training_members(wildcards.training)
    return PLAN.packed(wildcards.chain, wildcards.pack, cohorts)


def training_subjects(wildcards):
    """Splits of the healthy cohorts in a training set."""
    cohorts, _ = PLAN.training_members(wildcards.training)
    return [PLAN.path("cohorts", cohort, "subjects.tsv") for cohort in cohorts]


def approach_model(wildcards):
    """Weights and description of an approach's model; nothing for a model-free approach."""
    model = PLAN.approach(wildcards.approach).model
    if model == "none":
        return {}
    folder = PLAN.path(MODEL.format(**{**dict(wildcards.items()), "model": model}))
    return {"weights": f"{folder}/weights.safetensors", "bundle": f"{folder}/bundle.json"}


def tuned_settings(wildcards):
    """Detector settings that are found on healthy scans first, when any is ``auto``."""
    if "auto" in PLAN.approach(wildcards.approach).settings.values():
        return {"tuned": PLAN.path(MAPS.format(**dict(wildcards.items())), "tuned.json")}
    return {}


def model_modules(model):
    """What a model's code is made of besides what its training or detection script imports."""
    if model == "none":
        return []
    found = PLAN.model(model)
    network = found.settings.get("network")
    parts = [f"normscan.networks.{network}"] if network else []
    return [f"normscan.models.{found.family}", *parts]


def detector_code(script):
    """Fingerprint of a detection script with the model's and the detector's own modules."""

    def of(wildcards):
        approach = PLAN.approach(wildcards.approach)
        detector = f"normscan.detectors.{approach.detector}"
        return fingerprint(script, detector, *model_modules(approach.model))

    return of


def chosen_scans(wildcards):
    """Splits of a healthy cohort, of which only validation subjects get maps."""
    if STUDY.cohorts[wildcards.cohort].role == "healthy":
        return {"subjects": PLAN.path("cohorts", wildcards.cohort, "subjects.tsv")}
    return {}


def screening_pages():
    """Index pages of all unlabelled cohorts."""
    cohorts = PLAN.cohorts("unlabelled")
    return [PLAN.path("screening", cohort, "index.html") for cohort in cohorts]
