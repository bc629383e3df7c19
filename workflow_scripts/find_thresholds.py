"""Choose operating points: on validation patients, or on healthy scans without any label."""

from job import run
from normscan.evaluation.froc import froc_thresholds
from normscan.files import write_json
from normscan.postprocessing.pooling import (
    by_subject,
    operating_points,
    pooled_healthy,
    same_prior,
    scores_only_slices,
    validation_subjects,
)
from normscan.postprocessing.thresholds import SUBJECT_RULES, SYNTHETIC_RULES


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    approach = f"{w.protocol}/{w.variant}, seed {w.seed}"
    names = [*params.healthy_cohorts, *params.patient_priors]
    subjects = validation_subjects(names, files.subjects)
    scans = {cohort: set(of) for cohort, of in subjects.items()}
    # Each subject's own histogram takes memory: only where a rule asks for it.
    apart = any(rule["kind"] in SUBJECT_RULES for rule in params.rules)
    only_slices = scores_only_slices([*files.healthy, *files.patients])
    thresholds, froc = {}, {}
    for prior in params.priors:
        healthy = pooled_healthy(files.healthy, scans, params.healthy_cohorts, prior)
        froc[prior] = froc_thresholds(healthy)
        own = by_subject(files.healthy, subjects, params.healthy_cohorts, prior) if apart else None
        thresholds[prior] = operating_points(
            [for_prior(rule, params.patient_priors, prior) for rule in params.rules],
            healthy,
            params.healthy_cohorts,
            files.patients,
            scans,
            only_slices,
            f"{approach}, prior {prior}",
            own,
        )
    write_json(snakemake.output.rules, thresholds)
    write_json(snakemake.output.froc, froc)


def for_prior(rule: dict, priors: dict[str, str], prior: str) -> dict:
    """A rule that looks at synthetic cohorts, with those of one prior where there are any."""
    if rule["kind"] not in SYNTHETIC_RULES:
        return rule
    cohorts = same_prior(rule["settings"]["cohorts"], priors, prior)
    return {**rule, "settings": {**rule["settings"], "cohorts": cohorts}}


run(snakemake, main)
