"""The layout of ``results/``: templates of all paths, how they are filled in, and read back.

A path holds what determines its content, in words. Nothing else in the project spells one out.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from string import Formatter

# Cohorts: what they hold, what was found in it, how their subjects are split.
SIMULATED_FOLDER = "simulated/{cohort}"
SIMULATED = "simulated/{cohort}/{shard}.json"
CONVERTED_FOLDER = "converted/{cohort}"
CONVERTED = CONVERTED_FOLDER + "/{shard}.json"
SYNTHETIC_FOLDER = "synthetic/{cohort}"
SYNTHETIC = SYNTHETIC_FOLDER + "/{shard}.json"
SYNTHETIC_PAIRS = SYNTHETIC_FOLDER + "/{shard}.tsv"
CHECK = "checks/{cohort}/{shard}.json"
CHECKED = "cohorts/checked.json"
CHECKED_SCREENED = "cohorts/{cohort}/checked.json"
UNFLAGGED = "cohorts/unflagged.json"
UNFLAGGED_SCREENED = "cohorts/{cohort}/unflagged.json"
SUBJECTS = "cohorts/{cohort}/subjects.tsv"
SPLITS = "cohorts/{cohort}/splits.json"

# Volumes after a chain of preprocessing steps; ``raw`` is the chain of none.
RAW = "raw"
PREPARED_FOLDER = "preprocessed/{chain}/{cohort}"
PREPARED = PREPARED_FOLDER + "/{shard}.json"
BEFORE_STEP = PREPARED.replace("{chain}", "{parent}")
AFTER_STEP = PREPARED.replace("{chain}", "{parent}+{step}")
RAW_SCANS = PREPARED.replace("{chain}", RAW)

# Slice packs: an array, its index, and layers beside.
PACK_FOLDER = "slices/{chain}/{pack}/{cohort}"
SLICES = PACK_FOLDER + "/{shard}.npy"
INDEX = PACK_FOLDER + "/{shard}.json"
BRAIN = PACK_FOLDER + "/{shard}.brain.npy"
LESION = PACK_FOLDER + "/{shard}.lesion.npy"

# Models. Checkpoints are no outputs: they outlive a job that failed.
MODEL = "models/{chain}/{pack}/{training}/{model}/seed-{seed}"
WEIGHTS = MODEL + "/weights.safetensors"
BUNDLE = MODEL + "/bundle.json"
CURVE = MODEL + "/curve.tsv"
CURVE_FIGURE = MODEL + "/curve"
CHECKPOINTS = "checkpoints"

# Anomaly maps: protocols with equal settings share them.
MAPS = "maps/{chain}/{pack}/{training}/{approach}/seed-{seed}"
TUNED = MAPS + "/tuned.json"
MAP_FOLDER = MAPS + "/{cohort}"
MAP_MANIFEST = MAP_FOLDER + "/{shard}.json"
# The maps, and beside them what was expected: {shard}.expected.npy; of several reconstructions also
# how far apart they are: {shard}.uncertainty.npy.
MAP_ARRAY = MAP_FOLDER + "/{shard}.npy"
# Of scans that get no maps to be evaluated, where labels are made of them.
OTHER_MAPS = MAP_FOLDER + "/{shard}-others.json"

# What one protocol makes of them.
DETECTIONS = "detections/{protocol}/{variant}/seed-{seed}"
THRESHOLDS = DETECTIONS + "/thresholds.json"
FROC_THRESHOLDS = DETECTIONS + "/froc_thresholds.json"
FILTERED_FOLDER = DETECTIONS + "/filtered-{prior}/{cohort}"
FILTERED = FILTERED_FOLDER + "/{shard}.json"
FILTERED_ARRAY = FILTERED_FOLDER + "/{shard}.npy"
HISTOGRAMS = FILTERED_FOLDER + "/{shard}.npz"
RESIDUALS = FILTERED_FOLDER + "/{shard}-residuals.json"
# Scores on held-out healthy scans, which maps are compared with when they are fused.
HEALTHY_SCORES = DETECTIONS + "/healthy-{prior}.npz"
DETECTED_FOLDER = DETECTIONS + "/detected/{cohort}"
DETECTED = DETECTED_FOLDER + "/{shard}.json"
SCORES = DETECTED_FOLDER + "/{shard}.tsv"
FROC_SCORES = DETECTED_FOLDER + "/{shard}-froc.tsv"
SLICE_AREAS = DETECTED_FOLDER + "/{shard}-slices.tsv"
COMPONENTS = DETECTED_FOLDER + "/{shard}-components.tsv"

# Labels for the training of other models.
PSEUDO_FOLDER = DETECTIONS + "/pseudo-{threshold_rule}/{cohort}"
PSEUDO_LABELS = PSEUDO_FOLDER + "/{shard}.json"

# Evaluation, figures, report.
EVALUATION = "evaluation/{protocol}/{variant}/seed-{seed}/{cohort}.tsv"
CURVES = "evaluation/{protocol}/{variant}/seed-{seed}/{cohort}.json"
EVALUATED_SLICES = "evaluation/{protocol}/{variant}/seed-{seed}/slices/{cohort}.tsv"
# How faithful reconstructions are: scores of slices, and what they come to per scan and subject.
FIDELITY_SCORES = DETECTIONS + "/fidelity/{cohort}/{shard}.tsv"
FIDELITY = DETECTIONS + "/fidelity/{cohort}.tsv"
METRICS = "metrics.tsv"
QUALITY_FOLDER = "quality/{protocol}/{cohort}"
QUALITY_TABLE = QUALITY_FOLDER + ".tsv"
QUALITY = QUALITY_FOLDER + ".json"
FIGURES_FOLDER = "figures/{protocol}/{cohort}"
FIGURES = FIGURES_FOLDER + "/figures.json"
FIDELITY_EXAMPLE = FIGURES_FOLDER + "/fidelity.npz"
STUDY_FOLDER = "study/{protocol}"
STUDY_FIGURES = STUDY_FOLDER + "/figures.json"
STUDY_PATIENTS = STUDY_FOLDER + "/patients.tsv"
STUDY_CLASSES = STUDY_FOLDER + "/classes.tsv"
STUDY_TESTS = STUDY_FOLDER + "/tests.tsv"
STUDY_TRAININGS = STUDY_FOLDER + "/trainings.tsv"
STUDY_TRAINING_TESTS = STUDY_FOLDER + "/training_tests.tsv"
STUDY_CORRELATIONS = STUDY_FOLDER + "/correlations.tsv"
STUDY_RANKS = STUDY_FOLDER + "/published_ranks.tsv"
STUDY_BESIDE = STUDY_FOLDER + "/published_beside.tsv"
STUDY_SWEEPS = STUDY_FOLDER + "/sweeps.tsv"
STUDY_TUNING = STUDY_FOLDER + "/tuning.tsv"
# Choices without labels: how good, by which scores, ranks; and rates on healthy scans.
SELECTION = STUDY_FOLDER + "/selection.json"
SELECTION_REGRET = STUDY_FOLDER + "/selection.tsv"
SELECTION_SCORES = STUDY_FOLDER + "/selection_scores.tsv"
SELECTION_RANKS = STUDY_FOLDER + "/selection_ranks.tsv"
SELECTION_RATES = STUDY_FOLDER + "/selection_rates.tsv"
PATIENTS_FOLDER = "patients/{protocol}/{cohort}"
PATIENTS_PAGE = PATIENTS_FOLDER + "/index.html"
PATIENTS_VIEWER = PATIENTS_FOLDER + "/viewer/niivue.umd.js"
REPORT = "report.html"

# Screening: bundles may stand in another folder than results.
BUNDLES = "bundles"
JOB = "{protocol}/{variant}/seed-{seed}"
EXPORTED_FOLDER = f"{BUNDLES}/{JOB}"
APPROACH = "approach.json"
EXPORTED = f"{EXPORTED_FOLDER}/{APPROACH}"
SCREENING_FOLDER = "screening/{cohort}/{protocol}/{variant}/seed-{seed}"
SCREENED = SCREENING_FOLDER + "/{shard}.json"
SCREENING_PAGE = "screening/{cohort}/index.html"
SCREENING_VIEWER = "screening/{cohort}/viewer/niivue.umd.js"
SCREENING_COMPONENTS = "screening/{cohort}/components.tsv"
SCREENING_SCANS = "screening/{cohort}/scans.tsv"
# No output: it outlives pages, so that a page can say that it was made with another bundle before.
SCREENING_BUNDLES = "screening/{cohort}/bundles.json"

LOGS = "logs"
LOG = LOGS + "/{rule}/{job}.log"
BENCHMARK = "benchmarks/{rule}/{job}.tsv"
# What each job made, and which jobs are at work.
DIGESTS = "digests"
DIGEST = DIGESTS + "/{rule}/{job}.json"
RUNNING = "running"


class Layout:
    """Paths below one folder of results.

    Parameters
    ----------
    results : the folder, relative to the working directory or not.
    """

    def __init__(self, results: str | Path):
        self.root = str(Path(results))

    def path(self, *parts: str) -> str:
        """A path below the results folder; templates keep their wildcards."""
        return "/".join([self.root, *parts])

    def fill(self, template: str, **wildcards: str | int) -> str:
        """The path that a template stands for with all its wildcards filled in."""
        return f"{self.root}/{template.format(**wildcards)}"


def parse(template: str, path: str | Path) -> dict[str, str]:
    """Wildcards of a path of which only the end matters.

    Raises
    ------
    ValueError : the path is not one of that template.
    """
    found = _expression(template).search(Path(path).as_posix())
    if not found:
        raise ValueError(f"{path} is no path of the form {template}")
    return found.groupdict()


def job_of_log(rule: str, log: str | Path) -> tuple[str, str]:
    """Folder of results and name of the job with a log; both "" where that stands elsewhere."""
    root, found, job = Path(log).with_suffix("").as_posix().rpartition(f"/{LOGS}/{rule}/")
    return (root, job) if found else ("", "")


def pattern(template: str) -> str:
    """A template with ``*`` in place of its wildcards, for :meth:`pathlib.Path.glob`."""
    return re.sub(r"\{\w+\}", "*", template)


@cache
def _expression(template: str) -> re.Pattern[str]:
    """Wildcards hold anything but a slash; one that comes again holds the same."""
    parts, seen = [], set()
    for text, name, _, _ in Formatter().parse(template):
        parts.append(re.escape(text))
        if name:
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+)")
            seen.add(name)
    return re.compile("(?:^|/)" + "".join(parts) + "$")
