"""Assign the subjects of a cohort to train, validation and test; kept when subjects are added."""

from pathlib import Path

import pandas

from job import run
from normscan.cohorts.splits import assign_splits
from normscan.files import read_json, write_json, write_tsv


def main(snakemake) -> None:
    params = snakemake.params
    manifests = [read_json(path) for path in snakemake.input.manifests]
    scans = [one for manifest in manifests for one in manifest["scans"]]
    excluded = [one for manifest in manifests for one in manifest["excluded"]]
    cohort = snakemake.wildcards.cohort
    stored = Path(params.previous)
    previous = read_json(stored) if stored.exists() else {}
    usable = previous.get("splits", {}) if previous.get("seed") == params.seed else {}
    splits = assign_splits(
        sorted({one["subject"] for one in scans}),
        params.role,
        usable,
        seed=params.seed,
        cohort=cohort,
        validation=params.validation,
        training=params.training,
    )
    write_json(stored, {"seed": params.seed, "splits": {**usable, **splits}})
    rows = [
        {
            "cohort": cohort,
            "scan": one["scan"],
            "subject": one["subject"],
            "session": one["session"],
            "role": params.role,
            "split": splits[one["subject"]],
            "status": "ok",
            "reason": "",
        }
        for one in scans
    ]
    rows += [
        {
            "cohort": cohort,
            "scan": one["scan"],
            "subject": one["scan"].removeprefix("sub-").partition("_ses-")[0],
            "session": one["scan"].partition("_ses-")[2],
            "role": params.role,
            "split": "",
            "status": "excluded",
            "reason": one["reason"],
        }
        for one in excluded
    ]
    table = pandas.DataFrame(rows).sort_values("scan", ignore_index=True)
    write_tsv(snakemake.output[0], table)


run(snakemake, main)
