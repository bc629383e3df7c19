"""normscan: unsupervised anomaly detection in brain MRI, from raw NIfTI to a report."""

import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# The library, and what mends Snakemake; scripts find the library on their own, since a script's
# folder is on Python's path.
sys.path[:0] = [str(Path(workflow.basedir) / name) for name in ("workflow_scripts", "rules")]

from normscan.errors import ConfigError
from normscan.workflow.yaml_files import read_yaml

# Snakemake says neither where YAML is wrong nor that a key stands twice.
try:
    files = [read_yaml(Path(path)) for path in workflow.overwrite_configfiles or ["config.yaml"]]
except ConfigError as error:
    raise WorkflowError(str(error)) from None

# A configuration given with --configfile stands alone instead of being laid over config.yaml.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/cohorts.smk"
include: "rules/preprocessing.smk"
include: "rules/quality.smk"
include: "rules/slices.smk"
include: "rules/training.smk"
include: "rules/detection.smk"
include: "rules/postprocessing.smk"
include: "rules/fusion.smk"
include: "rules/fidelity.smk"
include: "rules/evaluation.smk"
include: "rules/screening.smk"
include: "rules/patients.smk"
include: "rules/report.smk"
include: "rules/housekeeping.smk"


localrules:
    all,
    prepare,
    screen,
    clean_intermediates,
    verify,


rule all:
    default_target: True
    input:
        PLAN.results(),


# Preprocessing of every cohort, the unlabelled ones as well, and its quality: what needs no model.
rule prepare:
    input:
        PLAN.preprocessing.all_packs(),
        PLAN.quality.of_cohorts(PLAN.cohorts.roles),


rule screen:
    input:
        PLAN.screening.pages(),
