"""Choose operating points: on validation patients, or on healthy scans without any label."""

from job import run
from normscan.evaluation.froc import froc_thresholds
from normscan.files import read_tsv, write_json
from normscan.postprocessing.histograms import load_arrays, load_histograms
from normscan.postprocessing.thresholds import find_threshold, why_none


def validation_scans(cohorts: list[str], tables: list[str]) -> dict[str, set[str]]:
    """cohort -> scans of its validation subjects."""
    found = {}
    for cohort, path in zip(cohorts, tables, strict=True):
        table = read_tsv(path, dtype=str)
        found[cohort] = set(table[table["split"] == "validation"]["scan"])
    return found


def pooled(paths: list[str], scans: dict[str, set[str]], cohorts: list[str], prior: str | None):
    """Sum of the histograms of cohorts' validation scans; None when there are none."""
    total = None
    for path in paths:
        cohort, own = (str(one) for one in load_arrays(path, "cohort", "prior"))
        if cohort not in cohorts or (prior and own != prior):
            continue
        for scan, histogram in load_histograms(path).items():
            if scan in scans[cohort]:
                total = histogram if total is None else total + histogram
    return total


def any_scan(paths: list[str], name: str) -> bool:
    """Whether any scan has values of this name (voxels: ``scans``, slices: ``slice_scans``)."""
    return any(len(load_arrays(path, name)[0]) for path in paths)


def main(snakemake) -> None:
    params, files = snakemake.params, snakemake.input
    scans = validation_scans([*params.healthy_cohorts, *params.patient_priors], files.subjects)
    paths = [*files.healthy, *files.patients]
    only_slices = any_scan(paths, "slice_scans") and not any_scan(paths, "scans")
    thresholds: dict[str, dict] = {prior: {} for prior in params.priors}
    froc = {}
    for prior in params.priors:
        healthy = pooled(files.healthy, scans, params.healthy_cohorts, prior)
        froc[prior] = froc_thresholds(healthy)
        for rule in params.rules:
            settings = dict(rule["settings"])
            cohorts = settings.pop("cohorts", None)
            source = healthy
            if cohorts is not None:
                source = pooled(files.patients, scans, cohorts, None)
            found = {"threshold": None, "reason": "", "cohorts": cohorts or params.healthy_cohorts}
            if source is None:
                missing = "no validation patients" if cohorts is not None else "no healthy scans"
                found["reason"] = "only slices are scored" if only_slices else missing
            else:
                found["threshold"] = find_threshold(rule["kind"], source, **settings)
                found["reason"] = why_none(rule["kind"], source)
            if healthy is not None and found["threshold"] is not None:
                found["healthy_false_positive_rate"] = healthy.exceeding(found["threshold"])
            thresholds[prior][rule["label"]] = found
    write_json(snakemake.output.rules, thresholds)
    write_json(snakemake.output.froc, froc)


run(snakemake, main)
