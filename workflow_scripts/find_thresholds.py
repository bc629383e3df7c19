"""Choose operating points: on validation patients, or on healthy scans without any label."""

from job import run
from normscan.evaluation.froc import froc_thresholds
from normscan.files import write_json
from normscan.postprocessing.pooling import (
    operating_points,
    pooled,
    scores_only_slices,
    validation_scans,
)


def main(snakemake) -> None:
    params, files, w = snakemake.params, snakemake.input, snakemake.wildcards
    approach = f"{w.protocol}/{w.variant}, seed {w.seed}"
    scans = validation_scans([*params.healthy_cohorts, *params.patient_priors], files.subjects)
    only_slices = scores_only_slices([*files.healthy, *files.patients])
    thresholds, froc = {}, {}
    for prior in params.priors:
        healthy = pooled(files.healthy, scans, params.healthy_cohorts, prior)
        froc[prior] = froc_thresholds(healthy)
        thresholds[prior] = operating_points(
            params.rules,
            healthy,
            params.healthy_cohorts,
            files.patients,
            scans,
            only_slices,
            f"{approach}, prior {prior}",
        )
    write_json(snakemake.output.rules, thresholds)
    write_json(snakemake.output.froc, froc)


run(snakemake, main)
