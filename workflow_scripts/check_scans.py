"""Read every file of a shard's scans once and write down what is wrong with it."""

from job import run
from normscan.cohorts.checks import check_scan
from normscan.cohorts.duplicates import contents
from normscan.cohorts.scans import Scan
from normscan.files import read_json, write_json
from normscan.preprocessing.shards import raw_manifest
from normscan.progress import progress


def main(snakemake) -> None:
    params = snakemake.params
    scans = [Scan(**record) for record in params.scans]
    reports = [
        check_scan(
            scan,
            params.contrasts,
            params.role,
            params.lesion_classes,
            params.anatomy_classes,
            params.ignored_labels,
            params.skull_stripped,
        )
        for scan in progress(scans, f"checking {snakemake.wildcards.cohort}")
    ]
    if params.synthetic:
        add_hosts(reports, read_json(snakemake.input[0]))
    if params.converted:
        add_conversion(reports, snakemake.input)
    bad = {report["scan"]: report["problems"] for report in reports if report["problems"]}
    usable = [scan for scan in scans if scan.id not in bad]
    cohort, shard = snakemake.wildcards.cohort, snakemake.wildcards.shard
    manifest = raw_manifest(cohort, shard, usable, contents(reports))
    manifest["excluded"] = [
        {"scan": scan, "reason": "; ".join(problems)} for scan, problems in bad.items()
    ]
    about = {"cohort": cohort, "role": params.role}
    write_json(snakemake.output.report, {**about, "reports": reports})
    write_json(snakemake.output.manifest, manifest)


def add_hosts(reports: list[dict], made: dict) -> None:
    """What is known of the healthy images under synthetic scans, which may stand nowhere else."""
    for report in reports:
        one = made[report["scan"]]
        report["facts"] |= {f"{name} without lesion": fact for name, fact in one["before"].items()}
        # Without an image on which a lesion fits there is none to be found missing.
        report["problems"] = one["problems"] or report["problems"]


def add_conversion(reports: list[dict], manifests: list[str]) -> None:
    """What kept series from being converted, instead of that their volumes are not there."""
    made = {scan: one for path in manifests for scan, one in read_json(path).items()}
    for report in reports:
        report["problems"] = made[report["scan"]]["problems"] or report["problems"]


run(snakemake, main)
